/**
 * An upstream in this process, over the stores of an origin. It counts what is asked, and does what a test wants done
 * before each thing that it sends: it fails, lies, is cut off, or falls silent.
 */
import { wholeOf } from '../../src/depot/read/whole.ts'
import type { Digest } from '../../src/model/digest.ts'
import { failure } from '../../src/model/errors.ts'
import { encodeRecord, type Generation, type Gid } from '../../src/model/generation.ts'
import { LIMITS } from '../../src/model/limits.ts'
import type { PackedNode } from '../../src/pool/pool.ts'
import type { SentBlob, SentRecord, Upstream } from '../../src/replica/upstream.ts'
import { type KeysBody, keysBodyOf } from '../../src/wire/keys.ts'
import type { Engine } from '../depot/an-engine.ts'

export type Kind = keyof Upstream

/** One thing that is about to be sent. */
export interface Step {
  readonly kind: Kind
  /** Of all steps of this upstream, from 1 on. */
  readonly number: number
  readonly signal: AbortSignal
}

/** What is sent in place of the bytes; or it throws, or never comes back. */
export type Trouble = (
  step: Step,
  bytes: Uint8Array,
) => Uint8Array | undefined | Promise<Uint8Array | undefined>

export class InProcess implements Upstream {
  readonly requests: { readonly kind: Kind; readonly digests: readonly Digest[] }[] = []
  /** Steps so far. */
  steps = 0
  /** Told of every request before it is answered. */
  onRequest: (kind: Kind, digests: readonly Digest[]) => void = () => undefined
  readonly #origin: Engine
  trouble: Trouble

  constructor(origin: Engine, trouble: Trouble = (_, bytes) => bytes) {
    this.#origin = origin
    this.trouble = trouble
  }

  count(kind: Kind): number {
    return this.requests.filter((request) => request.kind === kind).length
  }

  /** Its key ring, as the node itself tells it. */
  async keys(): Promise<KeysBody | undefined> {
    const view = this.#origin.depot.keys.view()
    return await Promise.resolve(view && keysBodyOf(view))
  }

  async head(after: Gid | undefined, waitMs: number, signal: AbortSignal): Promise<SentRecord | undefined> {
    this.#ask('head', [])
    const { head } = this.#origin.depot
    const found = after === undefined ? head.now() : await head.after(after, waitMs, signal)
    return found === undefined ? undefined : await this.#record('head', found, signal)
  }

  async *log(after: number, upTo: number, signal: AbortSignal): AsyncGenerator<SentRecord> {
    this.#ask('log', [])
    const all = this.#origin.depot.generations.list({ kind: 'number', atMost: upTo }, upTo - after)
    for (const generation of all.filter(({ record }) => record.number > after).reverse()) {
      const sent = await this.#record('log', generation, signal)
      if (sent !== undefined) yield sent
    }
  }

  async lineages(signal: AbortSignal): ReturnType<Upstream['lineages']> {
    this.#ask('lineages', [])
    await this.#step('lineages', new Uint8Array(), signal)
    return [...this.#origin.depot.generations.lineages().values()]
  }

  async *nodes(digests: readonly Digest[], signal: AbortSignal): AsyncGenerator<PackedNode> {
    this.#ask('nodes', digests)
    for (const digest of digests) {
      const segment = this.#origin.stores.nodes.segment(digest)
      const deflated = segment && (await this.#step('nodes', segment.deflated, signal))
      if (segment !== undefined && deflated !== undefined) yield { digest, segment: { ...segment, deflated } }
    }
  }

  async *blobs(digests: readonly Digest[], signal: AbortSignal): AsyncGenerator<SentBlob> {
    this.#ask('blobs', digests)
    for (const digest of digests) {
      const blob = await this.#origin.stores.pool.open(digest)
      if (blob === undefined || blob.size > LIMITS.smallBlobBytes) continue
      const bytes = await this.#step('blobs', await wholeOf(blob), signal)
      if (bytes !== undefined) yield { digest, bytes }
    }
  }

  async *blob(digest: Digest, offset: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    this.#ask('blob', [digest])
    const blob = await this.#origin.stores.pool.open(digest)
    if (blob === undefined) throw failure('not-found', { what: `blob ${digest}` })
    const whole = (await wholeOf(blob)).subarray(offset)
    for (let at = 0; at < whole.length; at += PIECE) {
      const bytes = await this.#step('blob', whole.subarray(at, at + PIECE), signal)
      if (bytes === undefined) return
      yield bytes
    }
  }

  async #record(
    kind: Kind,
    { gid, record, signatures }: Generation,
    signal: AbortSignal,
  ): Promise<SentRecord | undefined> {
    const bytes = await this.#step(kind, encodeRecord(record), signal)
    return bytes && { gid, bytes, signatures }
  }

  #ask(kind: Kind, digests: readonly Digest[]): void {
    this.requests.push({ kind, digests })
    this.onRequest(kind, digests)
    if (digests.length > LIMITS.replicationBatch) throw new Error('too many digests in one request')
  }

  async #step(kind: Kind, bytes: Uint8Array, signal: AbortSignal): Promise<Uint8Array | undefined> {
    this.steps += 1
    return await this.trouble({ kind, number: this.steps, signal }, bytes)
  }
}

const PIECE = 32_768

export function cutOff(): Error {
  return failure('origin-unreachable', { reason: 'the connection broke' })
}

/** Never comes back, and does not listen to its signal either. */
export async function silence(): Promise<undefined> {
  return await new Promise<undefined>(() => undefined)
}
