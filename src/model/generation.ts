/**
 * A generation: one state of the whole depot, its record, its id, and how two ids compare (PROTOCOL §1).
 *
 * A number alone is not an identity, for a restore may reuse it; so an id carries the number, the lineage and the
 * first 64 bits of the digest of the record. The record names its parent by the full digest: equal id, equal history.
 */
import { canonicalBytes } from './canonical.ts'
import { type Digest, digestOf, hexOf, isDigest, parseDigest } from './digest.ts'
import { failure } from './errors.ts'
import { instantOf, parseInstant } from './instant.ts'
import { clip } from './name.ts'

declare const brand: unique symbol
export type Gid = string & { readonly [brand]: 'Gid' }
export type LineageId = string & { readonly [brand]: 'LineageId' }

export interface GidParts {
  readonly number: number
  readonly lineage: LineageId
  readonly digest: string
}

export interface GenerationRecord {
  readonly v: 1
  readonly number: number
  readonly lineage: LineageId
  readonly parent: Gid | null
  readonly parentDigest: Digest | null
  readonly metaset: Digest
  readonly created: string
  readonly publisher: string
  readonly message: string
  readonly rollbackOf?: Gid
}

export type GenerationState = 'sealed' | 'active' | 'aborted' | 'retired'

/** A record with what is known beside it. Id, state and signatures are never inside the hash. */
export interface Generation {
  readonly gid: Gid
  readonly record: GenerationRecord
  readonly state: GenerationState
  readonly signatures: readonly string[]
}

/** Where a lineage comes from: a fork, a restore or a takeover of `parent` after its generation `forkAt`. */
export interface Lineage {
  readonly id: LineageId
  readonly parent: LineageId | null
  readonly forkAt: number | null
  readonly reason: 'init' | 'restore' | 'takeover' | 'fork'
}

/** What comparing a wanted generation with the one at hand can tell. */
export type Comparison = 'satisfied' | 'behind' | 'lost' | 'diverged' | 'unknown'

const GID = /^g(0|[1-9][0-9]{0,14})\.([a-z][a-z2-7]{11})\.([0-9a-f]{16})$/
const LINEAGE_ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'
const LINEAGE_LENGTH = 12

export function isGid(text: unknown): text is Gid {
  return typeof text === 'string' && GID.test(text)
}

/** Fails with `bad-generation`. */
export function parseGid(text: string): Gid {
  if (!isGid(text)) throw failure('bad-generation', { text: clip(text) })
  return text
}

export function partsOf(gid: Gid): GidParts {
  const [number = '', lineage = '', digest = ''] = gid.slice(1).split('.')
  return { number: Number(number), lineage: lineage as LineageId, digest }
}

/** A new lineage from 12 random bytes: a letter, then letters and the digits 2 to 7. */
export function lineageOf(random: Uint8Array): LineageId {
  const letters = Array.from({ length: LINEAGE_LENGTH }, (_, at) => {
    const alphabet = at === 0 ? LINEAGE_ALPHABET.slice(0, 26) : LINEAGE_ALPHABET
    return alphabet[(random[at] ?? 0) % alphabet.length]
  })
  return letters.join('') as LineageId
}

/** The canonical bytes of a record: what is stored, sent and hashed. */
export function encodeRecord(record: GenerationRecord): Buffer {
  return canonicalBytes({ ...record })
}

/**
 * The record of the generation that comes after `parent`, created at `nowMs` or, where the clock is behind, a millisecond
 * after the parent (PROTOCOL §1). In the same lineage and under the next number, unless `wish` says otherwise.
 */
export function recordAfter(
  { gid, record: before }: Pick<Generation, 'gid' | 'record'>,
  nowMs: number,
  wish: NextRecord,
): GenerationRecord {
  return {
    v: 1,
    number: before.number + 1,
    lineage: before.lineage,
    ...wish,
    parent: gid,
    parentDigest: digestOf(encodeRecord(before)),
    created: instantOf(Math.max(nowMs, parseInstant(before.created) + 1)),
  }
}

/** What a record says that does not follow from its parent. */
export type NextRecord = Pick<GenerationRecord, 'metaset' | 'publisher' | 'message' | 'rollbackOf'> &
  Partial<Pick<GenerationRecord, 'number' | 'lineage'>>

/** The id of a record, given its canonical bytes. */
export function gidOf(record: GenerationRecord, bytes: Uint8Array = encodeRecord(record)): Gid {
  return `g${record.number}.${record.lineage}.${hexOf(digestOf(bytes)).slice(0, 16)}` as Gid
}

/** Reads the canonical bytes of a record that this program wrote or whose digest was checked. */
export function decodeRecord(bytes: Uint8Array): GenerationRecord {
  const record = JSON.parse(Buffer.from(bytes).toString()) as GenerationRecord
  parseDigest(record.metaset)
  return record
}

/**
 * Reads a record that comes from elsewhere under the id that it should have. Fails with `digest-mismatch` when it has
 * another one, and with `bad-request` when it is no record.
 */
export function checkedRecord(gid: Gid, bytes: Uint8Array): GenerationRecord {
  const record = parsedRecord(bytes)
  const found = gidOf(record, bytes)
  if (found !== gid) throw failure('digest-mismatch', { expected: gid, found })
  return record
}

function parsedRecord(bytes: Uint8Array): GenerationRecord {
  let record: GenerationRecord
  try {
    record = decodeRecord(bytes)
    parseInstant(record.created)
  } catch (cause) {
    throw failure('bad-request', { reason: 'this is not the record of a generation' }, { cause })
  }
  const { v, parent, parentDigest } = record
  if (v !== 1)
    throw failure('bad-request', { reason: `the record has version ${String(v)}, and this program knows 1` })
  const isFirst = parent === null && parentDigest === null
  if (!isFirst && !(isGid(parent) && isDigest(parentDigest)))
    throw failure('bad-request', { reason: 'the record does not name its parent' })
  return record
}

/**
 * Whether a reader who wants (at least) `want` is satisfied by `have`, after PROTOCOL §1. `lineages` holds every
 * lineage that is known here; one that is not among them makes the answer `unknown`.
 */
export function compareGids(want: Gid, have: Gid, lineages: ReadonlyMap<LineageId, Lineage>): Comparison {
  if (want === have) return 'satisfied'
  const wanted = partsOf(want)
  const held = partsOf(have)
  if (wanted.lineage === held.lineage) {
    if (wanted.number === held.number) return wanted.digest === held.digest ? 'satisfied' : 'diverged'
    return wanted.number < held.number ? 'satisfied' : 'behind'
  }
  const forkedAt = forkBefore(want, have, lineages)
  if (forkedAt !== undefined) return wanted.number <= forkedAt ? 'satisfied' : 'lost'
  const forksFromOurs = forkBetween(held.lineage, wanted.lineage, lineages)
  return forksFromOurs === undefined ? 'unknown' : 'behind'
}

/** The number of the last generation that `have` shares with the lineage of `want`; undefined where it descends from none of it. */
export function forkBefore(
  want: Gid,
  have: Gid,
  lineages: ReadonlyMap<LineageId, Lineage>,
): number | undefined {
  return forkBetween(partsOf(want).lineage, partsOf(have).lineage, lineages)
}

/** The last generation of `ancestor` that `descendant` still has, when the one descends from the other. */
function forkBetween(
  ancestor: LineageId,
  descendant: LineageId,
  lineages: ReadonlyMap<LineageId, Lineage>,
): number | undefined {
  let last = Number.POSITIVE_INFINITY
  let at = lineages.get(descendant)
  for (let steps = 0; at !== undefined && at.parent !== null && steps < lineages.size; steps += 1) {
    last = Math.min(last, at.forkAt ?? 0)
    if (at.parent === ancestor) return last
    at = lineages.get(at.parent)
  }
  return undefined
}

/**
 * Whether a generation is older than another one of its lineage, or of its number and not the same. False across
 * lineages: what such a one comes to is told by its records.
 */
export function isOlder(gid: Gid, than: Gid): boolean {
  const [one, other] = [partsOf(gid), partsOf(than)]
  if (one.lineage !== other.lineage) return false
  return one.number < other.number || (one.number === other.number && gid !== than)
}
