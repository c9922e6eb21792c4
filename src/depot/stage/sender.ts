/**
 * The pieces of an upload as they come from its sender: for as long as he may send, and as long as they come at a
 * pace that is worth a place among the uploads under way.
 *
 * Only the time in which the depot waits for him counts, so a slow disk of ours is not held against him.
 */
import { failure } from '../../model/errors.ts'
import type { Clock } from '../../model/world.ts'

/** At least so many bytes in so much time. */
export interface Pace {
  readonly bytes: number
  readonly perMs: number
}

export interface Watch {
  readonly clock: Pick<Clock, 'monotonic'>
  readonly pace: Pace
  /** Whether the sender may still send. */
  readonly isLive: () => boolean
}

/** Fails with `unauthorised` instead of the next piece, or with `upload-too-slow` behind it: what came late is kept. */
export async function* watched(
  pieces: AsyncIterable<Uint8Array>,
  { clock, pace, isLive }: Watch,
): AsyncGenerator<Uint8Array> {
  let waitedMs = 0
  let found = 0
  let asked = clock.monotonic()
  for await (const piece of pieces) {
    if (!isLive())
      throw failure('unauthorised', { reason: 'the token was revoked or has expired during the upload' })
    waitedMs += clock.monotonic() - asked
    found += piece.length
    yield piece
    if (waitedMs >= pace.perMs) {
      if (found < pace.bytes)
        throw failure('upload-too-slow', { found, least: pace.bytes, seconds: Math.round(waitedMs / 1000) })
      waitedMs = 0
      found = 0
    }
    asked = clock.monotonic()
  }
}
