/**
 * Whether a generation was signed by a key that is trusted: its record, exactly as its bytes are (PROTOCOL §1).
 *
 * A signature by a key that nobody here knows says nothing and does no harm; one by a trusted key that does not fit is
 * proof that somebody has changed something.
 */
import { failure, isFailure } from '../errors.ts'
import type { GenerationRecord, Gid } from '../generation.ts'
import { parseInstant } from '../instant.ts'
import { LIMITS } from '../limits.ts'
import { clip } from '../name.ts'
import { isSignedBy, type KeyId, signatureParts } from './key.ts'
import type { Trust } from './trust.ts'

export interface SignedRecord {
  readonly gid: Gid
  readonly record: Pick<GenerationRecord, 'created'>
  /** The canonical bytes of the record. */
  readonly bytes: Uint8Array
  readonly signatures: readonly string[]
}

/**
 * Fails with `signature-wrong` when a signature is none, or not one over this record; and with `generation-unsigned`
 * when no key that is trusted, and counted when it was created, has signed it.
 */
export function demandSigned({ gid, record, bytes, signatures }: SignedRecord, trust: Trust): void {
  const created = parseInstant(record.created)
  let isSigned = false
  for (const text of signatures.slice(0, LIMITS.signatures)) {
    const signature = signatureParts(text)
    if (signature === undefined) throw failure('signature-wrong', { wanted: gid, key: clip(text) })
    const key = trust.keys.get(signature.key)
    if (key === undefined) continue
    if (!isSignedBy(key.verifier, 'generation', bytes, signature.bytes))
      throw failure('signature-wrong', { wanted: gid, key: key.id })
    isSigned ||= created <= key.untilMs
  }
  if (isSigned) return
  const signers = signersOf(signatures)
  throw failure('generation-unsigned', { wanted: gid, pinned: trust.current.id, signers })
}

/** Whether `demandSigned` lets it pass. */
export function isSignedWell(signed: SignedRecord, trust: Trust): boolean {
  try {
    demandSigned(signed, trust)
    return true
  } catch (error) {
    if (isFailure(error, 'signature-wrong') || isFailure(error, 'generation-unsigned')) return false
    throw error
  }
}

/** Who says that he has signed. */
export function signersOf(signatures: readonly string[]): readonly KeyId[] {
  return signatures.slice(0, LIMITS.signatures).flatMap((text) => signatureParts(text)?.key ?? [])
}
