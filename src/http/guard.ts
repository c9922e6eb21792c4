/**
 * Who asks, and whether they may ask so often: bearer tokens, open or closed reads, and rate limits on all that
 * writes.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Access } from '../depot/access.ts'
import { type Actor, demand } from '../depot/actor.ts'
import { failure } from '../model/errors.ts'
import type { RateLimit } from './rate-limit.ts'

export interface GuardOptions {
  /** Whether reading needs a token. */
  readonly closedReads: boolean
  readonly byToken: RateLimit
  readonly byAddress: RateLimit
}

const BEARER = /^Bearer +([\w.~+/-]{1,512}=*) *$/i

export class Guard {
  readonly #access: Pick<Access, 'actorOf'>
  readonly #options: GuardOptions
  readonly #actors = new WeakMap<FastifyRequest, Actor>()

  constructor(access: Pick<Access, 'actorOf'>, options: GuardOptions) {
    this.#access = access
    this.#options = options
  }

  /** Lets a read pass; true when it needed a token. Fails with `unauthorised` or `forbidden`. */
  read(request: FastifyRequest): boolean {
    if (!this.#options.closedReads) return false
    demand(this.#actor(request), 'read')
    return true
  }

  /** For the routes of this context: who may not read does not wait here first, and no other node is asked for them. */
  askReaderFirst(server: FastifyInstance): void {
    if (this.isOpen) return
    server.addHook('onRequest', (request, _reply, done) => {
      this.read(request)
      done()
    })
  }

  /** Whether reads are answered to anybody. */
  get isOpen(): boolean {
    return !this.#options.closedReads
  }

  /** Who writes; a request counts once, however often this is asked. Fails with `unauthorised` or `rate-limited`. */
  actor(request: FastifyRequest): Actor {
    const known = this.#actors.get(request)
    if (known !== undefined) return known
    this.#options.byAddress.take(request.ip)
    const actor = this.#actor(request)
    this.#options.byToken.take(actor.id)
    this.#actors.set(request, actor)
    return actor
  }

  /** For the routes of this context: who may not write is refused before anything of the body is read or parsed. */
  askFirst(server: FastifyInstance): void {
    server.addHook('onRequest', (request, _reply, done) => {
      if (request.method !== 'GET' && request.method !== 'HEAD') this.actor(request)
      done()
    })
  }

  /**
   * A node that follows this one. It asks much, and changes nothing: no rate is kept for it. Whoever has waited asks
   * again, for the token may be gone by then. Fails with `unauthorised` or `forbidden`.
   */
  node(request: FastifyRequest): void {
    demand(this.#actor(request), 'replicate')
  }

  /** For the routes of this context: as `askFirst`, for those of nodes. */
  askNodeFirst(server: FastifyInstance): void {
    server.addHook('onRequest', (request, _reply, done) => {
      this.node(request)
      done()
    })
  }

  /** An operator. Fails also with `forbidden`. */
  admin(request: FastifyRequest): Actor {
    const actor = this.actor(request)
    demand(actor, 'admin')
    return actor
  }

  #actor(request: FastifyRequest): Actor {
    const { authorization } = request.headers
    if (authorization === undefined)
      throw failure('unauthorised', { reason: 'this needs a token and none was sent' })
    const secret = BEARER.exec(authorization)?.[1]
    const actor = secret === undefined ? undefined : this.#access.actorOf(secret)
    if (actor === undefined)
      throw failure('unauthorised', { reason: 'the token is unknown, expired, revoked or malformed' })
    return actor
  }
}
