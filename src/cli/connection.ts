/**
 * Which depot a command talks to, and as whom.
 *
 * The address is `--depot`, else `DEPOT_URL`, else the default port of this machine. The token is `DEPOT_TOKEN`, else
 * what a depot on this machine wrote into its data folder. That file never leaves the machine: it is used for loopback
 * addresses alone.
 *
 * What was seen of a depot, its head and its keys, is kept in a folder, so that no later command is shown anything older (PROTOCOL §13). A
 * loopback address is not a depot's own: today's may be another one than yesterday's. There it is kept only where
 * somebody says so. And where nobody says where, a folder that cannot be used is no reason to stop: that is told, and
 * nothing is kept.
 */
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join, resolve } from 'node:path'
import { DEFAULT_DATA, DEFAULT_PORT } from '../app/config-options.ts'
import type { Client } from '../client/client.ts'
import type { FloorStore } from '../client/floor.ts'
import type { PinStore } from '../client/keys/pins.ts'
import { type DepotError, failure } from '../model/errors.ts'
import { type Gid, isGid } from '../model/generation.ts'
import { isKeyId, type KeyId } from '../model/keys/key.ts'
import type { DepotOptions } from './options.ts'
import { printable } from './output.ts'
import { type Shell, UsageError } from './shell.ts'

/** In the data folder; mode 0600. */
export const TOKEN_FILE = 'admin.token'
/** As `DEPOT_STATE`: nothing is kept. */
const NO_STATE = 'none'

type Surroundings = Pick<Shell, 'environment' | 'folder'>
/** Somebody can be told something beside the result. */
type Telling = Surroundings & Pick<Shell, 'stderr'>

/** Connects to read: with a token if there is one. */
export async function connect(shell: Telling, options: DepotOptions): Promise<Client> {
  return await clientOf(shell, options, await findToken(shell, options))
}

/** Connects to write. Fails with `unauthorised` before anything is done when there is no token. */
export async function connectToWrite(shell: Telling, options: DepotOptions): Promise<Client> {
  const token = await findToken(shell, options)
  if (token !== undefined) return await clientOf(shell, options, token)
  const file = join(dataFolder(shell, options), TOKEN_FILE)
  const onThisMachine = isLoopback(addressOf(shell, options))
  const reason = `DEPOT_TOKEN is not set${onThisMachine ? ` and ${file} cannot be read` : ''}`
  throw failure('unauthorised', { reason })
}

export function addressOf({ environment }: Surroundings, { depot }: DepotOptions): URL {
  const text = depot ?? nonEmpty(environment['DEPOT_URL']) ?? `http://127.0.0.1:${DEFAULT_PORT}`
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new UsageError(`"${text}" is no address of a depot; write it like http://127.0.0.1:${DEFAULT_PORT}`)
  return url
}

export function dataFolder({ environment, folder }: Surroundings, { data }: DepotOptions): string {
  return resolve(folder, data ?? nonEmpty(environment['DEPOT_DATA']) ?? DEFAULT_DATA)
}

/** Where the token comes from, or undefined when there is none. */
export async function findToken(shell: Surroundings, options: DepotOptions): Promise<string | undefined> {
  const given = nonEmpty(shell.environment['DEPOT_TOKEN'])
  if (given !== undefined) return given.trim()
  if (!isLoopback(addressOf(shell, options))) return undefined
  try {
    const text = await readFile(join(dataFolder(shell, options), TOKEN_FILE), 'utf8')
    return nonEmpty(text.trim())
  } catch {
    // Not there or not ours to read: whoever needs a token says so.
    return undefined
  }
}

/** The floor that an earlier job handed on (PROTOCOL §13). */
export function floorOf({ environment }: Surroundings): Gid | undefined {
  const text = nonEmpty(environment['DEPOT_MIN_GENERATION'])
  if (text === undefined || isGid(text)) return text
  throw new UsageError(`DEPOT_MIN_GENERATION is "${text}", which is no generation id like depot floor prints`)
}

/** The key that must be the depot's, as an option or an earlier job says. */
function keyOf({ environment }: Surroundings, { key }: DepotOptions): KeyId | undefined {
  const text = key ?? nonEmpty(environment['DEPOT_KEY'])
  if (text === undefined || isKeyId(text)) return text
  throw new UsageError(`DEPOT_KEY is "${text}", which is no id of a key like depot key list prints`)
}

/** Where floors are kept; undefined for nowhere. */
export function floorFolder(shell: Surroundings, options: DepotOptions): string | undefined {
  const { environment, folder } = shell
  const given = nonEmpty(environment['DEPOT_STATE'])
  if (given === NO_STATE) return undefined
  if (given !== undefined) return join(resolve(folder, given), 'floors')
  if (isLoopback(addressOf(shell, options))) return undefined
  const state = nonEmpty(environment['XDG_STATE_HOME'])
  if (state !== undefined) return join(resolve(folder, state), 'depot', 'floors')
  const home = nonEmpty(environment['HOME'])
  return home === undefined ? undefined : join(home, '.local', 'state', 'depot', 'floors')
}

export function isLoopback({ hostname }: URL): boolean {
  const host = hostname.replace(/^\[|\]$/g, '')
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** The SDK is loaded when it is needed: help and completion are quicker without it. */
async function clientOf(shell: Telling, options: DepotOptions, token: string | undefined): Promise<Client> {
  const least = floorOf(shell)
  const url = addressOf(shell, options).href
  const { acceptLineage, acceptKey } = options
  const key = keyOf(shell, options)
  const { floor, pins } = await storesOf(shell, options)
  const { connect: to } = await import('../client/index.ts')
  return to({
    url,
    ...(token === undefined ? {} : { token }),
    ...(least === undefined ? {} : { least }),
    ...(floor === undefined ? {} : { floor }),
    ...(acceptLineage === undefined ? {} : { acceptLineage }),
    ...(pins === undefined ? {} : { pins }),
    ...(key === undefined ? {} : { key }),
    ...(acceptKey === undefined ? {} : { acceptKey }),
  })
}

interface Stores {
  readonly floor?: FloorStore
  readonly pins?: PinStore
}

/** Who names a folder wants it to be used; the usual one is used where that is possible. */
async function storesOf(shell: Telling, options: DepotOptions): Promise<Stores> {
  const folder = floorFolder(shell, options)
  if (folder === undefined) return {}
  const {
    FileFloor,
    FilePins,
    LenientFloor,
    LenientPins,
    realRandom: random,
  } = await import('../client/index.ts')
  const where = { folder, url: addressOf(shell, options).href, random }
  const floor = new FileFloor(where)
  const pins = new FilePins(where)
  if (nonEmpty(shell.environment['DEPOT_STATE']) !== undefined) return { floor, pins }
  let isTold = false
  const tell = ({ details }: DepotError): void => {
    if (isTold) return
    isTold = true
    const why = printable(`${folder} cannot be used (${String(details['reason'])})`)
    shell.stderr.write(
      `depot: what is seen of this depot is not remembered: ${why}; set DEPOT_STATE to a folder that can be written, or to ${NO_STATE}\n`,
    )
  }
  return { floor: new LenientFloor(floor, tell), pins: new LenientPins(pins, tell) }
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : text
}
