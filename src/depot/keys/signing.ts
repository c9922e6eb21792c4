/**
 * Opens what signs, before anything else looks at the log: afterwards every generation of it has a signature, and none
 * comes without one. A replica signs nothing; what it has was signed elsewhere.
 */
import type { Ledger } from '../../ledger/ledger.ts'
import { parseInstant } from '../../model/instant.ts'
import { currentKey } from '../../model/keys/ring.ts'
import { trustIn } from '../../model/keys/trust.ts'
import { LIMITS } from '../../model/limits.ts'
import type { Clock, Log } from '../../model/world.ts'
import { Turns } from '../commit/turns.ts'
import type { KeySafe } from './safe.ts'
import { signLog } from './sign-log.ts'
import { SignedGenerations } from './signed-generations.ts'
import { Signers } from './signers.ts'

export interface SigningParts {
  readonly ledger: Ledger
  readonly safe: KeySafe
  readonly keyOverlapMs: number
  readonly replacesLostKey?: boolean
  readonly isReplica?: boolean
  readonly clock: Clock
  readonly log: Pick<Log, 'warn'>
}

export interface Signing {
  /** The same ledger; where this depot commits, nothing gets into its log without signatures. */
  readonly ledger: Ledger
  readonly signers: Signers | undefined
  readonly turns: Turns
}

/** Fails with `data-unusable` when the private half of the current key is not to be had. */
export async function openSigning(parts: SigningParts): Promise<Signing> {
  const { ledger, safe, clock, log, keyOverlapMs: overlapMs } = parts
  const { generations, ring } = ledger
  const turns = new Turns(LIMITS.openStages)
  if (parts.isReplica === true) return { ledger, signers: undefined, turns }
  const replacesLost = parts.replacesLostKey ?? false
  const signers = await Signers.open({ ring, safe, clock, overlapMs, replacesLost })
  const trust = await trustIn(signers.ring(), currentKey(signers.ring()).id)
  const signed = await signLog({ generations, clock }, trust, (record, bytes) => signers.sign(record, bytes))
  if (signed > 0) log.warn({ signed }, 'generations that no key of now had signed are signed')
  const head = generations.head()
  if (head !== undefined) await signers.tidy(parseInstant(head.record.created))
  return {
    ledger: { ...ledger, generations: new SignedGenerations(generations, signers, turns) },
    signers,
    turns,
  }
}
