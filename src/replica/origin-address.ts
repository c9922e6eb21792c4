/**
 * Where the origin is, for a node whose upstream may be another replica: bytes come from the upstream, and the origin's
 * word, what only it can answer and what is written go to the origin itself (PROTOCOL §6).
 *
 * The upstream says where that is. It is asked again whenever the origin could not be reached, for the origin may have
 * moved; as long as the upstream does not answer, what it has said last is taken for good.
 */
import { DepotError, failure, isFailure } from '../model/errors.ts'
import type { Caller } from '../wire/caller.ts'
import { PATHS } from '../wire/paths.ts'
import { OriginBody } from '../wire/replication.ts'
import { reaching } from './reaching.ts'

export type OriginCaller = Pick<Caller, 'call' | 'done'>

export interface OriginAddressParts {
  /** The address of the upstream. */
  readonly upstream: string
  /** Asks the upstream where the origin is. */
  readonly ask: (signal: AbortSignal) => Promise<OriginBody>
  /** A caller for an address; asked for when that has changed. */
  readonly callerOf: (url: string) => OriginCaller
}

export class OriginAddress {
  readonly #parts: OriginAddressParts
  #said: OriginBody | undefined
  #isDoubtful = false
  #reached: { readonly url: string; readonly caller: OriginCaller } | undefined

  constructor(parts: OriginAddressParts) {
    this.#parts = parts
  }

  /** What was heard last; undefined before the first time. */
  now(): string | undefined {
    if (this.#said === undefined) return undefined
    return this.#said.isOrigin ? this.#parts.upstream : (this.#said.url ?? undefined)
  }

  /** What a node that follows this one is told: the address that the origin calls its own, where it has one. */
  told(): OriginBody {
    return { isOrigin: false, url: this.#said?.url ?? this.now() ?? null }
  }

  /** Whether the upstream is the origin itself; true until it says something else. */
  isUpstream(): boolean {
    return this.#said?.isOrigin ?? true
  }

  /**
   * What a call to the origin gives; where it is the upstream is asked first, if that is not known or in doubt. Fails with
   * `origin-unreachable` when nobody has ever said, and as the call does: then it may be somewhere else.
   */
  async reach<Value>(call: (caller: OriginCaller) => Promise<Value>, signal: AbortSignal): Promise<Value> {
    if (this.#said === undefined || this.#isDoubtful) await this.#ask(signal)
    const url = this.now()
    if (url === undefined)
      throw failure('origin-unreachable', { reason: 'the upstream does not know where the origin is' })
    if (this.#reached?.url !== url) this.#reached = { url, caller: this.#parts.callerOf(url) }
    try {
      return await call(this.#reached.caller)
    } catch (error) {
      // Whoever gave up himself has learnt nothing about the origin.
      if (!signal.aborted) this.#isDoubtful = true
      throw error
    }
  }

  async #ask(signal: AbortSignal): Promise<void> {
    try {
      const said = await this.#parts.ask(signal)
      // One that has forgotten it knows less than this node.
      if (said.isOrigin || said.url !== null || this.#said === undefined) this.#said = said
      this.#isDoubtful = false
    } catch (error) {
      if (this.#said === undefined || !(error instanceof DepotError)) throw error
    }
  }
}

/** Asks a node where the origin is. One that does not know the question is an origin of an earlier version. */
export async function askForOrigin(caller: Pick<Caller, 'call'>, signal: AbortSignal): Promise<OriginBody> {
  try {
    return await reaching(
      async () => await (await caller.call({ path: PATHS.origin }, signal)).json(OriginBody),
    )
  } catch (error) {
    if (isFailure(error, 'not-found')) return { isOrigin: true, url: null }
    throw error
  }
}
