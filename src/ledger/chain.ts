/**
 * The chain of generations that an upstream sends: every record is the one of its id, and each names the one before it
 * by the full digest. So whoever knows the last id of a chain knows that nothing in it was changed or left out.
 */
import { setImmediate } from 'node:timers/promises'
import { digestOf } from '../model/digest.ts'
import { failure } from '../model/errors.ts'
import { checkedRecord, type GenerationRecord, type Gid } from '../model/generation.ts'
import { parseInstant } from '../model/instant.ts'
import type { AdoptedRecord } from './ledger.ts'

/** A generation of a chain. */
export interface Link extends AdoptedRecord {
  readonly record: GenerationRecord
}

/** Links that are checked between two turns of the event loop: some milliseconds. */
const LINKS_A_TURN = 256

/** The links of a chain, each held against the one before it. Fails as `checkedRecord` does, or with `origin-diverged`. */
export async function linksOf(records: readonly AdoptedRecord[]): Promise<readonly Link[]> {
  const links: Link[] = []
  for (const { gid, bytes, signatures = [] } of records) {
    const link = { gid, bytes, signatures, record: checkedRecord(gid, bytes) }
    if (links.length > 0) refuseUnlessAfter(link, links.at(-1))
    links.push(link)
    if (links.length % LINKS_A_TURN === 0) await setImmediate()
  }
  return links
}

/**
 * The links that come after the own head, `gidAt` a number being the generation that the own log has there. Fails with
 * `origin-diverged` when the chain has others, ends before the head, or does not go on from it.
 */
export function linksAfter(
  head: Link | undefined,
  links: readonly Link[],
  gidAt: (number: number) => Gid | undefined,
): readonly Link[] {
  const newest = head?.record.number ?? -1
  const fresh = links.filter(({ record }) => record.number > newest)
  const own = links.slice(0, links.length - fresh.length)
  const other = own.find(({ gid, record }) => gidAt(record.number) !== gid)
  const [first] = fresh
  if (first !== undefined && other === undefined) refuseUnlessAfter(first, head)
  const older = first === undefined ? own.at(-1) : undefined
  const seen = other ?? older
  if (seen !== undefined && seen.gid !== head?.gid) throw diverged(head, seen)
  return fresh
}

/**
 * Lets pass the child of `parent`, or the first generation of all. Fails with `origin-diverged`: somebody tells another
 * history than the one that is known.
 */
function refuseUnlessAfter({ gid, record }: Link, parent: Link | undefined): void {
  if (follows(record, parent)) return
  throw diverged(parent, { gid })
}

function diverged(here: Pick<Link, 'gid'> | undefined, seen: Pick<Link, 'gid'>): Error {
  return failure('origin-diverged', { generation: here?.gid ?? 'none', seen: seen.gid })
}

function follows(record: GenerationRecord, parent: Link | undefined): boolean {
  if (parent === undefined) return record.parent === null
  return (
    record.parent === parent.gid &&
    record.parentDigest === digestOf(parent.bytes) &&
    record.number > parent.record.number &&
    parseInstant(record.created) > parseInstant(parent.record.created)
  )
}
