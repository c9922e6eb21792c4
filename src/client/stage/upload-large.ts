/**
 * One large blob into a stage, over as many connections as it takes.
 *
 *   PUT     the bytes from the start
 *   HEAD    after a connection broke: how many of them are there?
 *   PATCH   the rest, from that offset; nothing but the word that it ends when all bytes are there
 *
 * The depot counts what it has, not we; so also somebody else's half of the same blob is gone on with.
 */
import { failure, isFailure } from '../../model/errors.ts'
import type { Call, Caller } from '../../wire/caller.ts'
import { HEADERS, MEDIA } from '../../wire/headers.ts'
import { stageBlobPath } from '../../wire/paths.ts'
import { StoredBody } from '../../wire/schemas.ts'
import type { Source } from '../client.ts'

export interface UploadingLarge {
  readonly caller: Caller
  readonly stage: string
  /** Bytes that were sent, negative when they have to be sent again. */
  readonly advance: (bytes: number) => void
}

/** With the pauses between them, about a minute without a byte. */
const FRUITLESS_MAXIMUM = 14
const NOTHING_THERE = [401, 403, 404, 410]

/** Fails as the depot refuses, with `depot-unreachable`, or with `bad-request` when the source has changed. */
export async function uploadLarge(
  { caller, stage, advance }: UploadingLarge,
  source: Source,
  signal?: AbortSignal,
): Promise<void> {
  const path = stageBlobPath(stage, source.digest)
  let sent = 0
  function moveTo(position: number): void {
    advance(position - sent)
    sent = position
  }
  let offset = 0
  for (let fruitless = 0; ; fruitless += 1) {
    try {
      const answer = await caller.call(sendingFrom(path, source, offset, moveTo), signal)
      const stored = await answer.json(StoredBody)
      if (stored.digest !== source.digest) throw answer.invalid(`that it stored ${stored.digest}`)
      return moveTo(source.size)
    } catch (error) {
      if (!isWorthGoingOn(error) || fruitless >= FRUITLESS_MAXIMUM) throw error
    }
    await caller.pause(fruitless, signal)
    const there = await progressOf(caller, path, source, signal)
    if (there.offset > offset) fruitless = 0
    offset = there.offset
    moveTo(offset)
    if (there.complete) return
  }
}

function isWorthGoingOn(error: unknown): boolean {
  return (
    isFailure(error, 'depot-unreachable') ||
    // A replica that passed the bytes on lost its origin meanwhile.
    isFailure(error, 'origin-unreachable') ||
    isFailure(error, 'offset-mismatch') ||
    isFailure(error, 'upload-busy') ||
    isFailure(error, 'upload-too-slow')
  )
}

function sendingFrom(path: string, source: Source, offset: number, moveTo: (position: number) => void): Call {
  const resuming = offset > 0
  return {
    method: resuming ? 'PATCH' : 'PUT',
    path,
    headers: resuming ? { [HEADERS.uploadOffset]: String(offset), [HEADERS.uploadComplete]: '?1' } : {},
    body: {
      type: resuming ? MEDIA.partial : MEDIA.bytes,
      size: source.size - offset,
      open: () => counted(source, offset, moveTo),
    },
    repeat: 'unsent',
    fresh: resuming,
  }
}

interface Progress {
  readonly offset: number
  /** Whether the blob is stored: a depot may have all bytes and wait to be told that they are all. */
  readonly complete: boolean
}

/** How many bytes the depot has. What else is wrong the next PUT will tell. */
async function progressOf(
  caller: Caller,
  path: string,
  source: Source,
  signal?: AbortSignal,
): Promise<Progress> {
  const answer = await caller.done({ method: 'HEAD', path, expect: NOTHING_THERE, fresh: true }, signal)
  if (NOTHING_THERE.includes(answer.status)) return { offset: 0, complete: false }
  if (answer.headers.get(HEADERS.uploadComplete) === '?1') return { offset: source.size, complete: true }
  const text = answer.headers.get(HEADERS.uploadOffset) ?? ''
  const offset = /^\d{1,15}$/.test(text) ? Number(text) : -1
  if (offset < 0 || offset > source.size) throw answer.invalid(`the upload offset "${text.slice(0, 20)}"`)
  return { offset, complete: false }
}

async function* counted(
  source: Source,
  offset: number,
  moveTo: (position: number) => void,
): AsyncGenerator<Uint8Array> {
  let position = offset
  for await (const chunk of source.open(offset)) {
    position += chunk.length
    if (position > source.size) break
    yield chunk
    moveTo(position)
  }
  if (position !== source.size)
    throw failure('bad-request', { reason: `the bytes of ${source.digest} changed while they were sent` })
}
