/**
 * Carries out what the gate has decided (PROTOCOL §5, §6): a request goes on to its route, waits, is answered by
 * another node, or is refused. What is served at once passes without a promise.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { planFor, type Question, type Step } from '../../depot/gate.ts'
import type { Head } from '../../depot/head.ts'
import type { Node } from '../../depot/node.ts'
import { digestOfHex } from '../../model/digest.ts'
import { type DepotError, failure, isFailure } from '../../model/errors.ts'
import type { ErrorCode } from '../../model/failures.ts'
import { LIMITS } from '../../model/limits.ts'
import type { Soon } from '../../model/soon.ts'
import type { Clock } from '../../model/world.ts'
import { HEADERS, NO_GENERATION } from '../../wire/headers.ts'
import { gidOfHead } from '../answer.ts'
import { demandOf } from '../mounts.ts'
import { isWaitAsked, waitOf } from '../prefer.ts'
import { Passage } from './passage.ts'

/** Who may answer in the place of this node. */
export type Target = 'origin' | 'any'

/**
 * Has another node answer, on the connection of this request. False when nobody could, and nothing was sent; the reply
 * is hijacked otherwise. A read gets the first byte of its answer within `withinMs`, or none. Fails with `relay-loop`.
 */
export type Relay = (request: FastifyRequest, reply: FastifyReply, wish: RelayWish) => Promise<boolean>

export interface RelayWish {
  readonly to: Target
  readonly withinMs?: number
}

/** Where a node is that has what this one lacks; undefined when none is known, or the client was sent here by one. */
export type Elsewhere = (request: FastifyRequest) => string | undefined

export interface GateParts {
  readonly depot: { readonly head: Pick<Head, 'isThere' | 'now'> }
  readonly node: Node
  readonly clock: Pick<Clock, 'monotonic'>
  readonly relay: Relay
  readonly elsewhere: Elsewhere
  readonly bounds?: Partial<GateBounds>
}

export interface GateBounds {
  /** Requests that wait at one time. */
  readonly holds: number
  /** What is asked of another node may take so much longer than the request may wait. */
  readonly graceMs: number
}

/** What became of requests that were not served at once. */
export const OUTCOMES = ['held', 'confirmed', 'relayed', 'redirected', 'refused'] as const
export type Outcome = (typeof OUTCOMES)[number]

/** What a request asks, and the digest, gid or head that a refusal names. It may have to be looked up. */
export type Asking = (request: FastifyRequest) => Soon<Question>

const BOUNDS: GateBounds = { holds: LIMITS.holds, graceMs: LIMITS.holdGraceMs }

export class Gate {
  readonly #parts: GateParts
  readonly #bounds: GateBounds
  readonly #counts: Record<Outcome, number> = { held: 0, confirmed: 0, relayed: 0, redirected: 0, refused: 0 }
  #holds = 0

  constructor(parts: GateParts) {
    this.#parts = parts
    this.#bounds = { ...BOUNDS, ...parts.bounds }
  }

  /** Requests that wait at this moment. */
  get holds(): number {
    return this.#holds
  }

  /** How many requests there were of which this became. */
  count(outcome: Outcome): number {
    return this.#counts[outcome]
  }

  /** Lets the requests of these routes pass as they may. `early` asks before the body is read. */
  guard(server: FastifyInstance, asking: Asking, when: 'early' | 'late' = 'late'): void {
    const hook = (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void => {
      const asked = asking(request)
      const isServed = !(asked instanceof Promise) && planFor(asked, this.#parts.node.state())[0] === 'serve'
      if (isServed) done()
      else
        this.#pass({ request, reply }, asked, asking).then((goesOn) => {
          // oxlint-disable-next-line promise/no-callback-in-promise -- fastify's own hook: it catches what is thrown
          if (goesOn) done()
        }, done)
    }
    if (when === 'early') server.addHook('onRequest', hook)
    else server.addHook('preHandler', hook)
  }

  /** Whether the request goes on to its route; it has been answered otherwise, or nobody is there to be answered. */
  async #pass(exchange: Exchange, first: Soon<Question>, asking: Asking): Promise<boolean> {
    const { raw } = exchange.reply
    const { node, clock } = this.#parts
    const gone = new AbortController()
    const onClose = (): void => {
      gone.abort()
    }
    raw.once('close', onClose)
    if (raw.destroyed) onClose()
    const passage = new Passage(clock, budgetOf(exchange.request), gone.signal)
    try {
      for (let asked = first; ; asked = asking(exchange.request)) {
        // What is asked and the state of the node belong together: nothing may come between them.
        const question = asked instanceof Promise ? await asked : asked
        if (passage.isGone) return false
        const step = passage.next(planFor(question, node.state()))
        if (step === 'serve') return true
        if (typeof step === 'object') return this.#refuse(exchange, step.refuse)
        if (await this.#take(step, passage, { ...exchange, question })) return false
      }
    } finally {
      raw.off('close', onClose)
    }
  }

  /** Whether the step has answered the request. */
  async #take(
    step: Exclude<Step, 'serve' | object>,
    passage: Passage,
    { request, reply, question }: Exchange & { readonly question: Question },
  ): Promise<boolean> {
    const { relay, elsewhere } = this.#parts
    switch (step) {
      case 'confirm':
        await this.#confirm(passage)
        return false
      case 'hold':
        await this.#hold(passage, { request, reply }, question)
        return false
      case 'relay':
      case 'relay-origin': {
        const to = step === 'relay' ? 'any' : 'origin'
        const isAnswered = await relay(request, reply, { to, ...this.#within(passage, question) })
        if (isAnswered) this.#counts.relayed += 1
        return isAnswered
      }
      case 'redirect': {
        const url = elsewhere(request)
        if (url === undefined) return false
        this.#counts.redirected += 1
        reply.code(307).header('cache-control', 'no-store').header('location', url).send()
        return true
      }
    }
  }

  /** No read waits longer for another node than it may wait at all (I16); what changes a depot takes its time. */
  #within(passage: Passage, { kind }: Question): Pick<RelayWish, 'withinMs'> {
    return kind === 'staging' || kind === 'write' || kind === 'word' ? {} : { withinMs: this.#askMs(passage) }
  }

  #askMs(passage: Passage): number {
    return Math.max(passage.left() + this.#bounds.graceMs, 0)
  }

  async #confirm(passage: Passage): Promise<void> {
    const ms = Math.ceil(this.#askMs(passage))
    await this.#parts.node.confirm(AbortSignal.any([passage.gone, AbortSignal.timeout(ms)]))
    this.#counts.confirmed += 1
  }

  async #hold(passage: Passage, { request, reply }: Exchange, question: Question): Promise<void> {
    const { holds: limit } = this.#bounds
    const { node } = this.#parts
    if (this.#holds >= limit) throw failure('hold-limit', { limit })
    this.#holds += 1
    const isBrief = isReadyElsewhere(question, node)
    if (passage.beginsToWait(isBrief ? LIMITS.holdElsewhereMs : passage.budgetMs)) this.#counts.held += 1
    // A preference that was cut short was not applied (RFC 7240 §3).
    if (!isBrief && isWaitAsked(request))
      reply.header('preference-applied', `wait=${Math.ceil(passage.budgetMs / 1000)}`)
    try {
      await node.changed(passage.holdLeft(), passage.gone)
    } finally {
      this.#holds -= 1
    }
  }

  /** What is final the route refuses itself, with all that there is to say of it. */
  #refuse({ request, reply }: Exchange, code: ErrorCode): true {
    const generation = gidOfHead(this.#parts.depot.head)
    this.#counts.refused += 1
    // It may have waited, and is true for the head of this moment.
    reply.header(HEADERS.generation, generation)
    // A node that refuses what its upstream tells says why, and not only that they differ.
    const { refusal } = this.#parts.node.state()
    if (code === 'origin-diverged' && refusal !== undefined) throw refusal
    const error = REFUSALS[code]?.({ request, generation, known: knownOf(this.#parts.node) })
    if (error !== undefined) throw error
    return true
  }
}

interface Exchange {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}

interface Refused {
  readonly request: FastifyRequest
  /** What this node has, and the newest that it has heard of; or `none`. */
  readonly generation: string
  readonly known: string
}

/** What a node refuses because of how it is; the routes themselves know nothing of that. */
const REFUSALS: Readonly<Partial<Record<ErrorCode, (refused: Refused) => DepotError>>> = {
  'generation-behind': (refused) =>
    failure('generation-behind', { wanted: wantedBy(refused), generation: refused.generation }),
  'head-unconfirmed': ({ generation }) => failure('head-unconfirmed', { generation }),
  'origin-unreachable': () => failure('origin-unreachable', { reason: 'it has not answered for a while' }),
  'origin-diverged': ({ generation, known }) => failure('origin-diverged', { generation, seen: known }),
  'origin-unverified': ({ generation }) => failure('origin-unverified', { generation }),
  'origin-superseded': ({ generation, known }) => failure('origin-superseded', { generation, seen: known }),
  'blob-unavailable': ({ request }) =>
    failure('blob-unavailable', { digest: digestOfHex((request.params as { readonly hex: string }).hex) }),
  booting: () => failure('booting', {}),
  draining: () => failure('draining', {}),
}

function wantedBy({ request, known }: Refused): string {
  const { pin, floor } = demandOf(request)
  return pin ?? (floor === 'head' ? undefined : floor) ?? known
}

/**
 * Whether another node has what is wanted, as far as this one has heard: the balancer finds it sooner than this one gets
 * it (PROTOCOL §6). Of a node that is fenced nobody knows: the others are as a rule, too.
 */
function isReadyElsewhere(question: Question, node: Node): boolean {
  const { mode } = node.state()
  const isKnown = question.kind === 'entry' || (question.kind === 'pinned' && question.pin === 'away')
  return isKnown && (mode === 'lag' || mode === 'fresh') && node.isKnownElsewhere()
}

/** Milliseconds that a request may wait (PROTOCOL §6). */
function budgetOf(request: FastifyRequest): number {
  return waitOf(request, LIMITS.holdMs, LIMITS.holdDefaultMs)
}

function knownOf(node: Node): string {
  try {
    return node.known()
  } catch (error) {
    if (isFailure(error, 'booting')) return NO_GENERATION
    throw error
  }
}
