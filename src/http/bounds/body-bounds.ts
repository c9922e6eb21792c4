/**
 * Bodies that are taken into memory whole: how many bytes of them there may be at one time, over all requests, and how
 * long one may take to arrive. The room is taken before the first byte is read, for all that may come, so that those who
 * send slowly cannot hold more together than the depot has.
 *
 * Uploads of single blobs are streams, and pass by here.
 */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { failure } from '../../model/errors.ts'

export class BodyBounds {
  readonly #arriveMs: number
  readonly #bytes: number
  #free: number
  /** What the requests of a connection hold; an answer that waits behind another one does not hear of its end. */
  readonly #held = new Map<Socket, Set<() => void>>()

  constructor(bytes: number, arriveMs: number) {
    this.#bytes = bytes
    this.#free = bytes
    this.#arriveMs = arriveMs
  }

  /** For the routes of this context. Fails with `hold-limit` before anything is read, or with `request-timeout`. */
  bound(server: FastifyInstance): void {
    server.addHook('onRequest', (request, reply, done) => {
      const bytes = bytesToCome(request)
      if (bytes > 0) {
        this.#take(request.raw, reply, bytes)
        this.#hurry(request.raw, reply)
      }
      done()
    })
  }

  #take({ socket }: IncomingMessage, { raw }: FastifyReply, bytes: number): void {
    if (bytes > this.#free)
      throw failure('hold-limit', { limit: this.#bytes, what: 'bytes of memory for bodies' })
    this.#free -= bytes
    const held = this.#heldOf(socket)
    const giveBack = (): void => {
      if (!held.delete(giveBack)) return
      this.#free += bytes
    }
    held.add(giveBack)
    raw.once('close', giveBack)
  }

  #heldOf(socket: Socket): Set<() => void> {
    const known = this.#held.get(socket)
    if (known !== undefined) return known
    const held = new Set<() => void>()
    this.#held.set(socket, held)
    socket.once('close', () => {
      this.#held.delete(socket)
      for (const giveBack of held) giveBack()
    })
    return held
  }

  #hurry(body: IncomingMessage, reply: FastifyReply): void {
    const timer = setTimeout(() => {
      if (body.complete || body.destroyed || reply.sent) return
      // What has come so far is let go of, and whoever reads it learns of no end.
      body.removeAllListeners('data').removeAllListeners('end')
      void reply.send(failure('request-timeout', {}))
    }, this.#arriveMs).unref()
    const stop = (): void => {
      clearTimeout(timer)
    }
    body.once('close', stop)
    reply.raw.once('close', stop)
  }
}

/** The most that the body can have; nothing of one that is refused for what it says of its length. */
function bytesToCome({ method, headers, routeOptions }: FastifyRequest): number {
  if (method === 'GET' || method === 'HEAD') return 0
  const { bodyLimit } = routeOptions
  if (headers['transfer-encoding'] !== undefined) return bodyLimit
  const length = Number(headers['content-length'] ?? 0)
  return length > bodyLimit ? 0 : length
}
