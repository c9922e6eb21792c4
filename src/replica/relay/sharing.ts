/**
 * Requests that get the same answer, and the flight that each of them waits for (PROTOCOL §6: single flight).
 */
import type { IncomingMessage } from 'node:http'
import { pipeline } from 'node:stream/promises'
import type { Digest } from '../../model/digest.ts'
import { isFailure } from '../../model/errors.ts'
import type { Log } from '../../model/world.ts'
import type { Pool } from '../../pool/pool.ts'
import type { Exchange } from './exchange.ts'
import { Flight, type FlightParts, type Shared } from './flights.ts'
import type { Pulls } from './pulls.ts'
import type { Slots } from './slots.ts'
import { unlessAborted } from './unless-aborted.ts'
import { type SentBlob, type Target, varyingOf } from './wish.ts'

export interface SharingParts extends FlightParts {
  readonly pulls: Pick<Pulls, 'bring' | 'follow'>
  readonly pool: Pick<Pool, 'put'>
  readonly log: Pick<Log, 'warn'>
  readonly slots: Slots
  /** Has a request answered by itself, and passes an answer on. */
  readonly alone: (exchange: Exchange, targets: readonly Target[]) => Promise<boolean>
  readonly pass: (exchange: Exchange, answer: IncomingMessage) => Promise<void>
}

export class Sharing {
  readonly #parts: SharingParts
  readonly #flights = new Map<string, Begun>()
  /** Requests that have come, and flights that have begun, one after the other. */
  #order = 0

  constructor(parts: SharingParts) {
    this.#parts = parts
  }

  /**
   * As `NodeRelay.answer`, for a request with this key.
   */
  async answer(exchange: Exchange, key: string, targets: readonly Target[]): Promise<boolean> {
    this.#order += 1
    const arrived = this.#order
    for (;;) {
      const begun = this.#flights.get(key) ?? this.#begin(exchange, key, targets)
      if (begun === undefined) return false
      begun.flight.board()
      try {
        const shared = await unlessAborted(begun.flight.head, exchange.late)
        if (shared === undefined) return false
        // That something is not there may be over since: it is told to those who had asked before it was.
        if (shared.status === 200 || begun.order > arrived) return await this.#send(exchange, shared, targets)
      } catch {
        // A part of an answer is never ended as if it were whole; before the first byte somebody else may answer.
        if (exchange.response.headersSent) exchange.response.destroy()
        return exchange.response.destroyed
      } finally {
        begun.flight.leave()
      }
    }
  }

  /** Undefined when there are too many already. */
  #begin({ request, wish }: Exchange, key: string, targets: readonly Target[]): Begun | undefined {
    if (!this.#parts.slots.take()) return undefined
    this.#order += 1
    const flight = new Flight(this.#parts, {
      path: request.url ?? '/',
      headers: varyingOf(request),
      wish,
      targets,
    })
    const begun = { flight, order: this.#order }
    this.#flights.set(key, begun)
    const forget = (): void => {
      if (this.#flights.get(key) === begun) this.#flights.delete(key)
    }
    void flight.head.then((shared) => {
      if (shared?.status !== 200 || shared.body.kind === 'single') forget()
      else if (shared.body.kind === 'small' && wish.digest !== undefined)
        void this.#keep(wish.digest, shared.body.bytes)
    })
    void flight.ended.then(() => {
      this.#parts.slots.give()
      forget()
    })
    return begun
  }

  async #send(exchange: Exchange, shared: Shared, targets: readonly Target[]): Promise<boolean> {
    switch (shared.body.kind) {
      case 'small':
        await sendSmall(exchange, shared, shared.body.bytes)
        return true
      case 'blob':
        return await this.#sendBlob(exchange, shared, shared.body.blob, targets)
      case 'single': {
        const answer = shared.body.take()
        if (answer === undefined) return await this.#parts.alone(exchange, targets)
        await this.#parts.pass(exchange, answer)
        return true
      }
    }
  }

  /** What has no room here goes past this node. */
  async #sendBlob(
    exchange: Exchange,
    { status, headers }: Shared,
    blob: SentBlob,
    targets: readonly Target[],
  ): Promise<boolean> {
    const { response, gone, late } = exchange
    const pieces = this.#parts.pulls.follow(blob, gone)[Symbol.asyncIterator]()
    try {
      const first = await unlessAborted(pieces.next(), late)
      response.writeHead(status, headers)
      await pipeline(copied(first, pieces), response)
      return true
    } catch (error) {
      if (!isFailure(error, 'disk-full') || response.headersSent) throw error
      return await this.#parts.alone(exchange, targets)
    } finally {
      // Not waited for: it may be in the middle of waiting for more.
      void pieces.return?.(undefined)
    }
  }

  /** A small object stays here; where it cannot, it is asked for again. */
  async #keep(digest: Digest, coming: Promise<Buffer>): Promise<void> {
    try {
      await this.#parts.pool.put(await coming, { digest })
    } catch (err) {
      if (isFailure(err))
        this.#parts.log.warn({ err, digest }, 'an object that was asked for could not be kept')
    }
  }
}

interface Begun {
  readonly flight: Flight
  readonly order: number
}

/** Its head when it would come too late otherwise, and all of it when it is known to be right. */
async function sendSmall(
  { response, gone, late }: Exchange,
  shared: Shared,
  coming: Promise<Buffer>,
): Promise<void> {
  const { status, headers } = shared
  const isInTime = await Promise.race([coming.then(() => true), aborted(late).then(() => false)])
  response.writeHead(status, headers)
  if (!isInTime) response.flushHeaders()
  response.end(await unlessAborted(coming, gone))
}

/** A piece of the pool is good only until the next one is asked for; those of a response wait in its buffer. */
async function* copied(
  first: IteratorResult<Uint8Array>,
  pieces: AsyncIterator<Uint8Array>,
): AsyncGenerator<Buffer> {
  for (let next = first; next.done !== true; next = await pieces.next()) yield Buffer.from(next.value)
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise((resolve) => {
    signal.addEventListener('abort', resolve, { once: true })
  })
}
