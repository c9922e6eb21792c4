/**
 * The metaset: everything at one moment. All channels with the roots of their trees, and the salt by which all trees
 * of the depot are cut (DESIGN §3). Canonical JSON; its digest stands in the generation record.
 */
import { canonicalBytes, type Json } from '../model/canonical.ts'
import { isDigest } from '../model/digest.ts'
import { failure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import { clip, parseChannelName } from '../model/name.ts'
import { parseSalt, type Salt } from './boundary.ts'
import { EMPTY_TREE, type Tree } from './tree.ts'

export interface Metaset {
  readonly v: 1
  readonly salt: Salt
  readonly channels: Readonly<Record<string, Channel>>
}

/** A named set of releases. */
export interface Channel {
  /** The packaging system; what it means is known in `format/`. */
  readonly format: string
  readonly settings: Settings
  /** What it offers now. */
  readonly releases: Tree
  /** Every name and version that was ever committed, and the manifest it is bound to. Nothing is ever removed. */
  readonly bound: Tree
}

export interface Settings {
  /** It takes no changes. */
  readonly frozen?: true
  /** It was deleted: it is kept for the sake of its bound names, and not shown. */
  readonly dropped?: true
}

type Members = Readonly<Record<string, unknown>>

const FORMAT = /^[a-z][a-z0-9-]{0,31}$/
const SETTINGS: readonly (keyof Settings)[] = ['frozen', 'dropped']
/** No hash has more zero bits. */
const LEVELS = 42

export function emptyMetaset(salt: Salt): Metaset {
  return { v: 1, salt, channels: {} }
}

export function emptyChannel(format: string): Channel {
  return { format, settings: {}, releases: EMPTY_TREE, bound: EMPTY_TREE }
}

/** A channel by its name, also by one that every object has a member of, like `constructor`. */
export function channelIn({ channels }: Pick<Metaset, 'channels'>, name: string): Channel | undefined {
  return Object.hasOwn(channels, name) ? channels[name] : undefined
}

export function encodeMetaset(metaset: Metaset): Buffer {
  return canonicalBytes(metaset as unknown as Json)
}

/**
 * Reads a metaset and refuses with `bad-request` what is not one, or is not canonical; also one that a newer program
 * wrote with members that this one does not know.
 */
export function decodeMetaset(bytes: Uint8Array): Metaset {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let value: unknown
  try {
    value = JSON.parse(text.toString())
  } catch (cause) {
    throw failure('bad-request', { reason: 'the metaset is not JSON' }, { cause })
  }
  const metaset = metasetOf(value)
  if (!encodeMetaset(metaset).equals(text)) throw invalid('it is not canonical JSON')
  return metaset
}

function metasetOf(value: unknown): Metaset {
  const { v, salt, channels } = membersOf(value, 'it', ['v', 'salt', 'channels'])
  if (v !== 1) throw invalid(`its version is ${clip(String(v))}, and this program knows 1`)
  if (typeof salt !== 'string') throw invalid('it has no salt')
  const named = Object.entries(membersOf(channels, 'channels'))
  if (named.length > LIMITS.channels) throw invalid(`it has more than ${LIMITS.channels} channels`)
  return {
    v,
    salt: parseSalt(salt),
    channels: Object.fromEntries(
      named.map(([name, channel]) => [parseChannelName(name), channelOf(channel)]),
    ),
  }
}

function channelOf(value: unknown): Channel {
  const { format, settings, releases, bound } = membersOf(value, 'a channel', [
    'format',
    'settings',
    'releases',
    'bound',
  ])
  if (typeof format !== 'string' || !FORMAT.test(format)) throw invalid('a channel has no format')
  return { format, settings: settingsOf(settings), releases: treeOf(releases), bound: treeOf(bound) }
}

function settingsOf(value: unknown): Settings {
  const settings = membersOf(value, 'settings', SETTINGS)
  if (Object.values(settings).some((setting) => setting !== true))
    throw invalid('a setting is true or absent')
  return settings as Settings
}

function treeOf(value: unknown): Tree {
  const { root, level, count, bytes, crc32 } = membersOf(value, 'a tree', [
    'root',
    'level',
    'count',
    'bytes',
    'crc32',
  ])
  if (!isDigest(root)) throw invalid('the root of a tree is no digest')
  if (!isCount(level, LEVELS) || level === 0) throw invalid('the level of a tree is no level')
  if (!isCount(count) || !isCount(bytes) || !isCount(crc32, 0xffffffff))
    throw invalid('a tree has a count, a length or a CRC-32 that is no number')
  if ((count === 0) !== (root === EMPTY_TREE.root)) throw invalid('a tree is empty and is not')
  return { root, level, count, bytes, crc32 }
}

function membersOf(value: unknown, what: string, known?: readonly string[]): Members {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(`${what} must be an object`)
  const stranger = known && Object.keys(value).find((member) => !known.includes(member))
  if (stranger !== undefined) throw invalid(`${what} has a member "${clip(stranger)}"`)
  return value as Members
}

function isCount(value: unknown, maximum: number = Number.MAX_SAFE_INTEGER): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= maximum
}

function invalid(reason: string): Error {
  return failure('bad-request', { reason: `this is not a metaset: ${reason}` })
}
