/**
 * The upstream over HTTP (PROTOCOL §4). What comes is bounded before it is kept, and held against what was asked; that
 * bytes are those of their digest, and records a chain, is checked by whoever asked.
 */
import { type Digest, hexOf } from '../model/digest.ts'
import { failure, isFailure } from '../model/errors.ts'
import { encodeRecord, type Generation, type Gid, type Lineage } from '../model/generation.ts'
import { LIMITS } from '../model/limits.ts'
import type { PackedNode } from '../pool/pool.ts'
import { unpackSegment } from '../pool/segment.ts'
import { type BatchedBlob, decodeBatchStream } from '../wire/batch.ts'
import { type Call, type Caller, jsonBody } from '../wire/caller.ts'
import type { Answer } from '../wire/caller-answer.ts'
import { HEADERS, MEDIA } from '../wire/headers.ts'
import { readLines } from '../wire/ndjson.ts'
import { blobPath, PATHS } from '../wire/paths.ts'
import { isTrue, LineagesBody, readGenerationLine } from '../wire/replication.ts'
import { GenerationBody } from '../wire/schemas.ts'
import { asUnreachable, reaching, reachingAll } from './reaching.ts'
import type { SentBlob, SentRecord, Upstream } from './upstream.ts'

/** Of what a batch says of itself: what is asked for, and how it comes. */
interface Form {
  readonly headers: Readonly<Record<string, string>>
  readonly mediaType: string
  readonly maximumBytes: number
}

const SMALL: Form = { headers: {}, mediaType: MEDIA.blobs, maximumBytes: LIMITS.smallBlobBytes }
const PACKED: Form = {
  headers: { [HEADERS.form]: 'segment' },
  mediaType: MEDIA.segments,
  maximumBytes: LIMITS.nodeBytes,
}
const CONTENT_RANGE = /^bytes (\d{1,15})-\d{1,15}\/\d{1,15}$/

export class HttpUpstream implements Upstream {
  readonly #caller: Pick<Caller, 'call'>

  /** The caller brings the address, the token, and how long it tries. */
  constructor(caller: Pick<Caller, 'call'>) {
    this.#caller = caller
  }

  async head(after: Gid | undefined, waitMs: number, signal: AbortSignal): Promise<SentRecord | undefined> {
    return await reaching(async () => {
      const answer = await this.#caller.call(watchOf(after, waitMs), signal)
      if (answer.status === 304) {
        await answer.discard()
        return undefined
      }
      const generation = await answer.json(GenerationBody, LIMITS.replicationLineBytes)
      if (!isTrue(generation)) throw answer.invalid(`a record that is not the one of ${generation.gid}`)
      return generation.gid === after ? undefined : recordOf(generation)
    })
  }

  async *log(after: number, upTo: number, signal: AbortSignal): AsyncGenerator<SentRecord> {
    const call = { path: `${PATHS.log}?after=${after}&upTo=${upTo}` }
    const answer = await reaching(async () => await this.#caller.call(call, signal))
    const bounds = { url: answer.url, lineBytes: LIMITS.replicationLineBytes }
    let last = after
    for await (const generation of reachingAll(readLines(answer.chunks(), readGenerationLine, bounds))) {
      const { number } = generation.record
      if (number <= last || number > upTo)
        throw answer.invalid(`generation ${number} behind ${last}, where up to ${upTo} were asked for`)
      last = number
      yield recordOf(generation)
    }
  }

  async lineages(signal: AbortSignal): Promise<readonly Lineage[]> {
    return await reaching(async () => {
      const answer = await this.#caller.call({ path: PATHS.lineages }, signal)
      return (await answer.json(LineagesBody)).lineages
    })
  }

  async *nodes(digests: readonly Digest[], signal: AbortSignal): AsyncGenerator<PackedNode> {
    for await (const { digest, bytes } of this.#batch(digests, PACKED, signal)) {
      const segment = unpackSegment(bytes)
      // Whoever unpacks it takes so much memory.
      if (segment.length < 0 || segment.length > LIMITS.nodeBytes)
        throw failure('answer-invalid', { url: PATHS.objects, reason: `${digest} as a node of another form` })
      yield { digest, segment }
    }
  }

  async *blobs(digests: readonly Digest[], signal: AbortSignal): AsyncGenerator<SentBlob> {
    yield* this.#batch(digests, SMALL, signal)
  }

  async *blob(digest: Digest, offset: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const answer = await this.#open(digest, offset, signal)
    if (answer === undefined) return
    let at = answer.status === 206 ? startOf(answer, offset) : 0
    for await (const chunk of reachingAll(answer.chunks())) {
      const skipped = Math.min(chunk.length, Math.max(0, offset - at))
      at += chunk.length
      if (at > LIMITS.blobBytes) throw answer.invalid(`more than ${LIMITS.blobBytes} bytes`)
      if (skipped < chunk.length) yield chunk.subarray(skipped)
    }
    if (at < offset) throw answer.invalid(`${at} bytes, where there were ${offset} before`)
  }

  /** Undefined when there is nothing from `offset` on. */
  async #open(digest: Digest, offset: number, signal: AbortSignal): Promise<Answer | undefined> {
    const range = { range: `bytes=${offset}-`, 'if-range': `"sha256-${hexOf(digest)}"` }
    const headers = { 'accept-encoding': 'identity', ...(offset > 0 ? range : {}) }
    try {
      return await this.#caller.call({ path: blobPath(digest), headers }, signal)
    } catch (error) {
      if (isFailure(error, 'range-not-satisfiable') && error.details['size'] === offset) return undefined
      throw asUnreachable(error)
    }
  }

  /** What comes is some of what was asked for, in the same order. */
  async *#batch(digests: readonly Digest[], form: Form, signal: AbortSignal): AsyncGenerator<BatchedBlob> {
    const { headers, mediaType, maximumBytes } = form
    if (digests.length === 0) return
    const call: Call = {
      method: 'POST',
      path: PATHS.objects,
      headers,
      body: jsonBody({ digests }),
      // It changes nothing.
      repeat: 'always',
    }
    const answer = await reaching(async () => await this.#caller.call(call, signal))
    if (answer.headers.get('content-type') !== mediaType)
      throw answer.invalid(
        `${answer.headers.get('content-type') ?? 'nothing'} where ${mediaType} was asked for`,
      )
    const bounds = { url: answer.url, blobs: digests.length, blobBytes: maximumBytes }
    let next = 0
    for await (const blob of reachingAll(decodeBatchStream(answer.chunks(), bounds))) {
      while (next < digests.length && digests[next] !== blob.digest) next += 1
      if (next === digests.length)
        throw answer.invalid(`${blob.digest}, which was not asked for at that place`)
      next += 1
      yield blob
    }
  }
}

function watchOf(after: Gid | undefined, waitMs: number): Call {
  if (after === undefined) return { path: PATHS.head }
  const headers = { prefer: `wait=${Math.floor(waitMs / 1000)}` }
  return { path: `${PATHS.head}?after=${after}`, headers, expect: [304] }
}

/** What is canonical is the same when it is made anew, members that are not known here included. */
function recordOf({ gid, record, signatures }: Generation): SentRecord {
  return { gid, bytes: encodeRecord(record), signatures }
}

function startOf(answer: Answer, offset: number): number {
  const start = CONTENT_RANGE.exec(answer.headers.get('content-range') ?? '')?.[1]
  if (Number(start) === offset) return offset
  throw answer.invalid('with another range than was asked for')
}
