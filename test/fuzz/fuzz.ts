/**
 * Sends what `requests.ts` makes up to a depot and looks at every answer: no 500, `Depot-Generation` on each, none that
 * hangs. At the end the process lives, has logged no error, holds no more memory than it should, and every generation
 * is whole.
 */
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { digestOf } from '../../src/model/digest.ts'
import type { Served } from '../story/served.ts'
import { verifyDepot } from '../story/verify.ts'
import { publish } from '../support/publish.ts'
import { parseAnswer } from '../support/raw-socket.ts'
import { Chance } from './chance.ts'
import { type Facts, requestOf } from './requests.ts'

export interface FuzzOptions {
  readonly seed: number
  readonly milliseconds: number
  readonly parallel?: number
  /** Now and then. */
  readonly report?: (soFar: FuzzReport) => void
}

export interface FuzzReport {
  readonly requests: number
  readonly statuses: ReadonlyMap<number, number>
  readonly anonymousMib: number
}

const ANSWER_MS = 10_000
const QUIET_MS = 250
/** The caches of the depot and what V8 takes for itself come to about 400; what leaks goes beyond in minutes. */
const ANONYMOUS_MIB = 600
const GENERATION =
  /^(?:any|none|g(?:0|[1-9]\d{0,14})\.[a-z][a-z2-7]{11}\.[0-9a-f]{16}(?:;st=(?:sealed|staging))?)$/
/** Trying again may help, or the disk is full: everything else from 500 on is a bug. */
const SERVER_ERRORS = new Set([501, 503, 507])

/** Flags of the depot that is fuzzed: its limits should not keep requests from being looked at. */
export const FUZZ_FLAGS: readonly string[] = [
  '--token-writes-per-second',
  '0',
  '--address-writes-per-second',
  '0',
]

/** Fails with the seed and the request when something is not as it must be. */
export async function fuzz(depot: Served, options: FuzzOptions): Promise<FuzzReport> {
  const { seed, milliseconds, parallel = 16, report } = options
  const until = performance.now() + milliseconds
  const statuses = new Map<number, number>()
  let requests = 0
  const worker = async (number: number): Promise<void> => {
    const chance = new Chance(seed * 1_000 + number)
    let facts = await factsOf(depot, number)
    while (performance.now() < until) {
      if (chance.once(50)) facts = await factsOf(depot, requests)
      const request = requestOf(chance, facts)
      requests += 1
      const isDue = requests % 5_000 === 0
      try {
        for (const status of await send(depot.url, request))
          statuses.set(status, (statuses.get(status) ?? 0) + 1)
        if (depot.process.exitCode !== null)
          throw new Error(`the depot has ended: ${depot.log().slice(-2_000)}`)
      } catch (cause) {
        throw new Error(
          `seed ${seed}, request ${requests}: ${String(cause)}\nthe request was ${requestShown(request)}`,
          {
            cause,
          },
        )
      }
      if (isDue) report?.({ requests, statuses, anonymousMib: await anonymousOf(depot.process.pid) })
    }
  }
  await Promise.all(Array.from({ length: parallel }, async (_, number) => await worker(number)))
  if (/"level":(?:50|60)/.test(depot.log()))
    throw new Error(`seed ${seed}: it logged an error: ${depot.log().slice(-3_000)}`)
  await verifyDepot(depot.client, { gids: new Set(), manifests: new Set() })
  const anonymousMib = await anonymousOf(depot.process.pid)
  if (anonymousMib > ANONYMOUS_MIB) throw new Error(`seed ${seed}: it holds ${anonymousMib} MiB`)
  return { requests, statuses, anonymousMib }
}

/** Something to be asked for: a release, and a stage that is open. */
async function factsOf({ client, token }: Served, number: number): Promise<Facts> {
  for (const { id } of (await client.stages()).slice(50))
    await client
      .stage(id)
      .abort()
      .catch(() => undefined)
  const files = { 'a.txt': 'a', 'deep/b.txt': 'b', 'c.bin': Buffer.alloc(100_000, number) }
  // The channel may have been frozen, the release be bound to other bytes: then what is there has to do.
  const wish = { name: 'hello', version: `1.0.${number}`, files }
  await publish(client, wish).catch(() => undefined)
  const gids: string[] = []
  for await (const { gid } of client.generations()) if (gids.push(gid) === 20) break
  const digests = ['a', 'b', 'hello', 'c'.repeat(70_000)].map((text) => digestOf(text) as string)
  const { manifest } = (await firstRelease(client)) ?? {}
  const stages: string[] = []
  while (stages.length < 6) stages.push((await client.openStage()).id)
  return { token, gids, stages, digests: manifest === undefined ? digests : [...digests, manifest] }
}

async function firstRelease(client: Served['client']): Promise<{ readonly manifest: string } | undefined> {
  const session = await client.session()
  for await (const { name } of session.channels())
    for await (const release of session.catalog(name)) return release
  return undefined
}

/** The statuses of all answers to what was sent on a connection of its own. */
async function send(origin: string, bytes: Buffer): Promise<readonly number[]> {
  const { hostname, port } = new URL(origin)
  const socket = connect(Number(port), hostname)
  const pieces: Buffer[] = []
  // Where no end comes of itself, because a request is half of one or the connection is kept, the depot hears that
  // there is no more. Not before: then it would not answer what it is still busy with.
  const quiet = setTimeout(() => socket.end(), QUIET_MS)
  socket.on('data', (piece: Buffer) => {
    pieces.push(piece)
    quiet.refresh()
  })
  socket.on('error', () => undefined)
  // It may also be reset, when a refusal leaves a body unread.
  const closed = new Promise((resolve) => socket.on('close', resolve))
  socket.write(bytes)
  const late = setTimeout(() => socket.destroy(new Error('late')), ANSWER_MS)
  const begun = performance.now()
  await closed
  clearTimeout(quiet)
  clearTimeout(late)
  if (performance.now() - begun >= ANSWER_MS)
    throw new Error(`no end after ${ANSWER_MS} ms, only ${shown(pieces)}`)
  return statusesIn(Buffer.concat(pieces))
}

function statusesIn(all: Buffer): readonly number[] {
  const statuses: number[] = []
  let rest = all
  while (rest.length > 0) {
    const parsed = nextAnswer(rest)
    // A body that was cut short by the end of the connection.
    if (parsed === undefined) break
    const { status } = parsed.answer
    if (status >= 200) {
      const generation = parsed.answer.all('depot-generation')
      if (generation.length !== 1 || !GENERATION.test(generation[0] ?? ''))
        throw new Error(`Depot-Generation is ${JSON.stringify(generation)} in ${shown([rest])}`)
      if (status >= 500 && !SERVER_ERRORS.has(status)) throw new Error(`it answered ${shown([rest])}`)
      const type = parsed.answer.header('content-type') ?? ''
      if (status >= 400 && !type.startsWith('application/problem+json'))
        throw new Error(`it is no problem: ${shown([rest])}`)
    }
    statuses.push(status)
    rest = rest.subarray(parsed.bytes)
  }
  return statuses
}

/** What was asked may have become a HEAD on the way: then the next answer, or nothing, follows on the headers. */
function nextAnswer(rest: Buffer): ReturnType<typeof parseAnswer> {
  const asHead = parseAnswer(rest, { ended: true, toHead: true })
  const after = asHead && rest.subarray(asHead.bytes)
  if (after === undefined || after.length === 0 || after.subarray(0, 9).toString() === 'HTTP/1.1 ')
    return asHead
  return parseAnswer(rest, { ended: true, toHead: false })
}

/** All of it where that is short enough to be read. */
function requestShown(request: Buffer): string {
  const text = request.toString('latin1')
  return JSON.stringify(text.length > 3_000 ? `${text.slice(0, 1_500)} ... ${text.slice(-500)}` : text)
}

function shown(pieces: readonly Buffer[]): string {
  return JSON.stringify(Buffer.concat(pieces).toString('latin1', 0, 1_500))
}

/** RssAnon: the map of LMDB does not count. */
async function anonymousOf(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return Math.round(Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024)
}
