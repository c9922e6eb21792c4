/** Keys that anybody can make again, and rings of them. */
import { createPrivateKey } from 'node:crypto'
import { digestOf, rawOf } from '../../../src/model/digest.ts'
import { SigningKey } from '../../../src/model/keys/key.ts'
import { type KeyRing, ringOf, rotated } from '../../../src/model/keys/ring.ts'

export const DAY_MS = 86_400_000
/** When the first key of each ring was made. */
export const BEGAN_MS: number = Date.UTC(2026, 10, 1)

/** The key with this seed: 32 bytes as hex, or a word that stands for them. */
export function keyOf(seed: string): SigningKey {
  const bytes = /^[0-9a-f]{64}$/.test(seed) ? Buffer.from(seed, 'hex') : rawOf(digestOf(seed))
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), bytes])
  return new SigningKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }))
}

/** Each key takes the place of the one before it, ten days after that one, with an overlap of a day. */
export function ringOfKeys(...[first, ...more]: readonly [SigningKey, ...SigningKey[]]): KeyRing {
  let ring = ringOf(first, BEGAN_MS)
  let from = first
  for (const [at, to] of more.entries()) {
    const nowMs = BEGAN_MS + (at + 1) * 10 * DAY_MS
    ring = rotated(ring, { from, to, nowMs, untilMs: nowMs + DAY_MS })
    from = to
  }
  return ring
}
