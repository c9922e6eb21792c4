/**
 * Keys by which a depot knows a request that is sent again (`Idempotency-Key`, PROTOCOL §8).
 */
import type { Random } from '../model/world.ts'

const KEY_BYTES = 16

export function newKey(random: Random): string {
  return Buffer.from(random.bytes(KEY_BYTES)).toString('hex')
}
