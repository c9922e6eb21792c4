/**
 * A log from before the depot had a key, or before its key was lost: its generations are signed when it is opened, the
 * oldest first and the head last, before anybody is shown anything. A start that was cut off goes on where it was.
 *
 * To sign what was committed long ago says nothing that the head does not say already: every record names the one
 * before it by its digest. It lets clients and replicas demand a signature of each, whichever they read.
 */
import type { Generations, SignedGid } from '../../ledger/ledger.ts'
import { encodeRecord, type Generation, type GenerationRecord } from '../../model/generation.ts'
import { isSignedWell } from '../../model/keys/signed.ts'
import type { Trust } from '../../model/keys/trust.ts'
import { slices } from '../../model/slice.ts'
import type { Clock } from '../../model/world.ts'

export interface LogParts {
  readonly generations: Pick<Generations, 'head' | 'list' | 'sign'>
  readonly clock: Pick<Clock, 'monotonic'>
}

/** Generations of one transaction. */
const AT_ONCE = 128

/**
 * The number of the newest generation that a trusted key has signed well, and so all before it; -1 for none. As a rule
 * that is the head, and one signature is looked at.
 */
export async function signedUpTo({ generations, clock }: LogParts, trust: Trust): Promise<number> {
  const pace = slices(clock)
  for (let atMost = generations.head()?.record.number ?? -1; atMost >= 0; ) {
    const page = generations.list({ kind: 'number', atMost }, atMost === headOf(generations) ? 1 : AT_ONCE)
    for (const generation of page) {
      if (isSignedWell({ ...generation, bytes: encodeRecord(generation.record) }, trust))
        return generation.record.number
      await pace.breathe()
    }
    atMost = (page.at(-1)?.record.number ?? 0) - 1
  }
  return -1
}

/** How many were signed. */
export async function signLog(
  parts: LogParts,
  trust: Trust,
  sign: (record: GenerationRecord, bytes: Uint8Array) => readonly string[],
): Promise<number> {
  const pace = slices(parts.clock)
  let signed = 0
  for (let above = await signedUpTo(parts, trust); ; ) {
    const page: readonly Generation[] = parts.generations.list({ kind: 'above', number: above }, AT_ONCE)
    const last = page.at(-1)
    if (last === undefined) return signed
    const rows: SignedGid[] = []
    for (const { gid, record } of page) {
      rows.push({ gid, signatures: sign(record, encodeRecord(record)) })
      await pace.breathe()
    }
    await parts.generations.sign(rows)
    signed += rows.length
    above = last.record.number
  }
}

function headOf(generations: Pick<Generations, 'head'>): number | undefined {
  return generations.head()?.record.number
}
