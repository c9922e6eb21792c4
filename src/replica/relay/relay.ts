/**
 * Having a request answered by another node, on the connection of whoever asked (PROTOCOL §6): one hop at most, bounded
 * in number and time, with the bytes going through as they come.
 *
 * What is fixed for ever, a pinned path or an object, is asked for once for all who ask at the same time (`flights.ts`):
 * an object of a peer that has it or of the origin. Everything else goes to the origin and nowhere else.
 *
 * A body whose digest is known is hashed on its way, and its last bytes are held back until it is right: what is wrong
 * is cut short, and never ends as if it were whole.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { failure } from '../../model/errors.ts'
import { LIMITS } from '../../model/limits.ts'
import type { Log } from '../../model/world.ts'
import type { Pool } from '../../pool/pool.ts'
import { forgetBody } from '../../wire/forget-body.ts'
import { HEADERS } from '../../wire/headers.ts'
import { answerOf, openCall } from './call.ts'
import { Checking } from './checking.ts'
import type { Exchange } from './exchange.ts'
import { hasBody, headersOf, isRead, passedOn, toPeer, viaOf } from './headers.ts'
import type { Pulls } from './pulls.ts'
import { Sharing } from './sharing.ts'
import { Slots } from './slots.ts'
import { expectedOf, isGood, type Target, wishOf } from './wish.ts'

export interface RelayParts {
  /** Where the origin is; undefined as long as nobody has said so. */
  readonly origin: () => string | undefined
  /** Nodes that say they have what is known. */
  readonly peers: () => readonly string[]
  /** The id of this node, as it stands in `Depot-Via`. */
  readonly id: string
  readonly pulls: Pick<Pulls, 'bring' | 'follow'>
  readonly pool: Pick<Pool, 'put'>
  readonly log: Pick<Log, 'warn'>
  /** Called with the generation of an answer to a write, before it is passed on; bounded in time by who is called. */
  readonly onWritten: (generation: string) => Promise<void>
  readonly bounds?: Partial<RelayBounds>
}

export interface RelayBounds {
  /** Exchanges that answer reads, and those that write: neither takes the places of the other. */
  readonly relays: number
  readonly writes: number
  /** A node of which nothing comes for so long is given up: a read, and what it may have to think about. */
  readonly readIdleMs: number
  readonly writeIdleMs: number
  /** A peer answers within so long, or the origin is asked. */
  readonly peerMs: number
}

export interface RelayTo {
  readonly to: 'origin' | 'any'
  /** A read has the first byte of its answer within so long, or is not answered. */
  readonly withinMs?: number
}

const BOUNDS: RelayBounds = {
  relays: LIMITS.relays,
  writes: LIMITS.relayedWrites,
  readIdleMs: LIMITS.upstreamSilenceMs,
  writeIdleMs: LIMITS.requestTimeoutMs,
  peerMs: LIMITS.peerMs,
}

export class NodeRelay {
  readonly #parts: RelayParts
  readonly #bounds: RelayBounds
  readonly #reads: Slots
  readonly #writes: Slots
  readonly #sharing: Sharing
  #turn = 0

  constructor(parts: RelayParts) {
    this.#parts = parts
    this.#bounds = { ...BOUNDS, ...parts.bounds }
    this.#reads = new Slots(this.#bounds.relays)
    this.#writes = new Slots(this.#bounds.writes)
    this.#sharing = new Sharing({
      ...parts,
      idleMs: this.#bounds.readIdleMs,
      peerMs: this.#bounds.peerMs,
      slots: this.#reads,
      alone: async (...asked) => await this.#alone(...asked),
      pass: async (...answered) => {
        await this.#pass(...answered)
      },
    })
  }

  /** Exchanges with other nodes at this moment. */
  get underWay(): number {
    return this.#reads.taken + this.#writes.taken
  }

  /**
   * Whether another node has answered, or nobody is there to be answered; false when nobody did, and nothing was sent.
   * A body that was begun cannot be sent again, so a write whose origin goes away in the middle fails. Fails with
   * `relay-loop` or `origin-unreachable`.
   */
  async answer(
    request: IncomingMessage,
    response: ServerResponse,
    { to, withinMs }: RelayTo,
  ): Promise<boolean> {
    const via = viaOf(request)
    if (via.includes(this.#parts.id)) throw failure('relay-loop', { via: via.join(', ') })
    if (via.length > 0) return false
    if (response.destroyed) return true
    const closed = new AbortController()
    const onClose = (): void => {
      closed.abort(new Error('the client went away'))
    }
    response.once('close', onClose)
    const gone = closed.signal
    const late =
      withinMs === undefined ? gone : AbortSignal.any([gone, AbortSignal.timeout(Math.ceil(withinMs))])
    const exchange: Exchange = { request, response, wish: wishOf(request), gone, late }
    try {
      const { generation, key, digest } = exchange.wish
      // What changes with the head is answered by the origin, whoever says what (PROTOCOL §6).
      const isFixed = to === 'any' && generation !== undefined
      // Nobody but the origin is believed where the URL does not name the digest of all that is sent.
      const targets = this.#targets(isFixed && key !== undefined && digest !== undefined)
      if (isFixed && key !== undefined) return await this.#sharing.answer(exchange, key, targets)
      return await this.#alone(exchange, targets)
    } finally {
      response.off('close', onClose)
    }
  }

  #targets(isProof: boolean): readonly Target[] {
    const { origin, peers } = this.#parts
    const url = origin()
    const last = url === undefined ? [] : [{ url, isPeer: false }]
    const others = isProof ? peers().filter((peer) => peer !== url) : []
    this.#turn += 1
    const peer = others[this.#turn % Math.max(others.length, 1)]
    return peer === undefined ? last : [{ url: peer, isPeer: true }, ...last]
  }

  async #alone(exchange: Exchange, targets: readonly Target[]): Promise<boolean> {
    const slots = isRead(exchange.request) ? this.#reads : this.#writes
    if (!slots.take()) return false
    try {
      for (const target of targets) {
        if (await this.#relay(exchange, target)) return true
        if (exchange.late.aborted) return false
      }
    } finally {
      slots.give()
    }
    if (isRead(exchange.request)) return false
    throw failure('origin-unreachable', { reason: 'nobody has told yet where it is' })
  }

  async #relay(exchange: Exchange, target: Target): Promise<boolean> {
    const { request, response, gone, late } = exchange
    const outgoing = this.#open(request, target)
    const onGone = (): void => {
      outgoing.destroy()
    }
    gone.addEventListener('abort', onGone)
    try {
      // An answer may come before all of the body was sent, as when it is refused; and when the origin goes away, the
      // connection is still to be answered on, which `pipeline` would close.
      sendOn(request, outgoing)
      const answer = await answerOf(outgoing, this.#lateFor(target, late))
      if (isRead(request) && !isGood(answer, exchange.wish, target)) {
        forgetBody(answer.on('error', () => undefined))
        return false
      }
      await this.#pass(exchange, answer)
      return true
    } catch (cause) {
      // A part of an answer is never ended as if it were whole.
      if (response.headersSent) response.destroy()
      if (response.destroyed) return true
      if (isRead(request)) return false
      throw failure('origin-unreachable', { reason: String(cause) }, { cause })
    } finally {
      gone.removeEventListener('abort', onGone)
      if (!request.complete) {
        request.unpipe(outgoing)
        outgoing.destroy()
        // What the client goes on sending of a body that is answered already is not sent on.
        if (!request.destroyed) forgetBody(request)
      }
    }
  }

  #open(request: IncomingMessage, { url, isPeer }: Target): ReturnType<typeof openCall> {
    const { readIdleMs, writeIdleMs } = this.#bounds
    const headers = headersOf(request)
    return openCall({
      to: url,
      method: request.method ?? 'GET',
      path: request.url ?? '/',
      headers: isPeer ? toPeer(headers) : headers,
      id: this.#parts.id,
      idleMs: isRead(request) ? readIdleMs : writeIdleMs,
    })
  }

  #lateFor({ isPeer }: Target, late: AbortSignal): AbortSignal {
    return isPeer ? AbortSignal.any([late, AbortSignal.timeout(this.#bounds.peerMs)]) : late
  }

  async #pass({ request, response, wish, late }: Exchange, answer: IncomingMessage): Promise<void> {
    const { statusCode: status = 502, headers } = answer
    if (!isRead(request) && status < 300) await this.#written(headers[HEADERS.generation])
    response.writeHead(status, passedOn(answer))
    const expected = expectedOf(answer, request, wish)
    // The bytes may be long in coming, or be held back: then the head goes ahead of them (I16).
    const onLate = (): void => {
      response.flushHeaders()
    }
    late.addEventListener('abort', onLate)
    if (late.aborted) onLate()
    try {
      if (expected === undefined) await pipeline(answer, response)
      else await pipeline(answer, new Checking(expected), response)
    } finally {
      late.removeEventListener('abort', onLate)
    }
  }

  /** The answer stands, whether what was written comes here in time or not. */
  async #written(generation: string | string[] | undefined): Promise<void> {
    if (typeof generation === 'string') await this.#parts.onWritten(generation).catch(() => undefined)
  }
}

/** A request with the body that it brings, but a read without. */
function sendOn(request: IncomingMessage, outgoing: ReturnType<typeof openCall>): void {
  if (isRead(request)) {
    outgoing.end()
    return
  }
  // Who may not write is refused for the head of the request alone, however long the body is in coming.
  if (hasBody(request)) outgoing.flushHeaders()
  request.pipe(outgoing)
}
