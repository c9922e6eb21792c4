/**
 * A depot, seen by a reader, a publisher and an operator: the contract of `client.ts` over HTTP.
 */
import type { Generation, Gid } from '../model/generation.ts'
import { isGid } from '../model/generation.ts'
import type { KeyId } from '../model/keys/key.ts'
import { LIMITS } from '../model/limits.ts'
import type { Random } from '../model/world.ts'
import type {
  AdoptLine,
  AdoptRequest,
  DiffLine,
  NewTokenBody,
  ScrubLine,
  StageBody,
  StageRequest,
  TokenBody,
  TokenRequest,
} from '../wire/bodies.ts'
import { type Call, Caller, type CallerOptions, jsonBody, type WaitingClock } from '../wire/caller.ts'
import type { Answer } from '../wire/caller-answer.ts'
import { lasting } from '../wire/caller-download.ts'
import { problemIn } from '../wire/caller-problem.ts'
import { HEADERS } from '../wire/headers.ts'
import { KeysBody } from '../wire/keys.ts'
import { readLines } from '../wire/ndjson.ts'
import { diffPath, generationPath, keyPath, PATHS, tokenPath } from '../wire/paths.ts'
import { NodesBody } from '../wire/replication.ts'
import {
  NewTokenBody as NewTokenSchema,
  StageBody as StageSchema,
  StagesBody,
  TokensBody,
} from '../wire/schemas.ts'
import type { Client, Session, Staging } from './client.ts'
import { type FloorStore, MemoryFloor } from './floor.ts'
import { readGeneration, readGenerations } from './generation.ts'
import { Heads } from './heads.ts'
import { MemoryPins, type PinStore } from './keys/pins.ts'
import { KeyTrust } from './keys/trust.ts'
import { adoptLineOf, boundsOf, diffLineOf, scrubLineOf } from './read/lines.ts'
import { readPages } from './read/pages.ts'
import { pinnedPlace } from './read/place.ts'
import { PinnedSession } from './read/session.ts'
import { newKey } from './request-key.ts'
import { DepotStaging } from './stage/staging.ts'

export interface DepotClientOptions extends CallerOptions {
  /** The least generation to accept, or where what was seen is kept; by default in memory, and nothing at first. */
  readonly floor?: FloorStore | Gid
  /** The least generation to accept beside that, as an earlier job handed it on. */
  readonly least?: Gid
  /** Id of a lineage to go on with although it lost what was seen (PROTOCOL §13). */
  readonly acceptLineage?: string
  /** Where the keys that were seen are kept; by default in memory, and nothing at first. */
  readonly pins?: PinStore
  /** The key that must be the depot's, or lead to it. */
  readonly key?: KeyId
  /** The key to go on with although what was seen before does not lead to it (PROTOCOL §13). */
  readonly acceptKey?: KeyId
}

const STAGES_BYTES = LIMITS.manifestBytes
/** Of a request that found nothing to change. */
const UNCHANGED = 200

type RolledBack = Awaited<ReturnType<Client['rollback']>>

export class DepotClient implements Client {
  readonly #caller: Caller
  readonly #heads: Heads
  readonly #trust: KeyTrust
  readonly #clock: WaitingClock
  readonly #random: Random

  /** Fails with `bad-request` for an address or a token that cannot be one. */
  constructor(options: DepotClientOptions) {
    const { floor, least, acceptLineage, pins = new MemoryPins(), key, acceptKey, clock, random } = options
    const store = typeof floor === 'object' ? floor : new MemoryFloor(floor)
    this.#caller = new Caller(options)
    this.#trust = new KeyTrust({ caller: this.#caller, pins, key, acceptKey })
    this.#heads = new Heads({
      caller: this.#caller,
      floor: store,
      trust: this.#trust,
      least,
      random,
      acceptLineage,
    })
    this.#clock = clock
    this.#random = random
  }

  async head(signal?: AbortSignal): Promise<Generation> {
    return await this.#heads.head(signal)
  }

  async watch(after: Gid, seconds: number, signal?: AbortSignal): Promise<Generation | undefined> {
    const until = this.#clock.monotonic() + seconds * 1000
    for (;;) {
      const left = Math.max(0, Math.min(LIMITS.waitMs, until - this.#clock.monotonic()))
      const head = await this.#heads.headAfter(after, Math.ceil(left / 1000), signal)
      if (head !== undefined || this.#clock.monotonic() >= until) return head
      await this.#caller.pause(0, signal)
    }
  }

  async generation(ref: string, signal?: AbortSignal): Promise<Generation> {
    if (ref === 'head') return await this.head(signal)
    const path = generationPath(ref)
    // What a gid names never changes, so the floor has nothing to say about it.
    const generation = isGid(ref)
      ? await this.#caller.read({ path }, async (answer) => await readGeneration(answer, ref), signal)
      : await this.#heads.read(path, readGeneration, signal)
    await this.#trust.demand(generation, signal)
    return generation
  }

  async *generations(signal?: AbortSignal): AsyncGenerator<Generation> {
    const first = await this.#heads.read(PATHS.generations, readGenerations, signal)
    yield* readPages(this.#caller, first, readGenerations, signal)
  }

  async *diff(a: string, b: string, channel?: string, signal?: AbortSignal): AsyncGenerator<DiffLine> {
    const query = channel === undefined ? '' : `?channel=${encodeURIComponent(channel)}`
    const path = diffPath(await this.#gidOf(a, signal), await this.#gidOf(b, signal)) + query
    const first = await this.#caller.call({ path }, signal)
    yield* readLines(lasting(this.#caller, { path, first }, signal), diffLineOf, boundsOf(first))
  }

  async session(ref?: string, signal?: AbortSignal): Promise<Session> {
    const ofHead = ref === undefined || ref === 'head'
    const place = pinnedPlace(this.#caller, await this.generation(ref ?? 'head', signal))
    return new PinnedSession({
      caller: this.#caller,
      random: this.#random,
      place,
      ...(ofHead ? { again: async (either?: AbortSignal) => await this.head(either) } : {}),
    })
  }

  async openStage(request: StageRequest = {}, signal?: AbortSignal): Promise<Staging> {
    // One stage too many expires by itself; not to know whether there is one would end a publication.
    const call: Call = { ...post(PATHS.stages, request), repeat: 'always' }
    const { id } = await this.#caller.json(StageSchema, call, signal)
    return this.stage(id)
  }

  stage(id: string): Staging {
    return new DepotStaging({ caller: this.#caller, heads: this.#heads, random: this.#random, id })
  }

  async stages(signal?: AbortSignal): Promise<readonly StageBody[]> {
    const read = async (answer: Answer): Promise<readonly StageBody[]> =>
      (await answer.json(StagesBody, STAGES_BYTES)).stages
    return await this.#caller.read({ path: PATHS.stages }, read, signal)
  }

  async rollback(to: string, message?: string, signal?: AbortSignal): Promise<RolledBack> {
    const request: Call = {
      ...post(PATHS.rollback, { to, ...(message === undefined ? {} : { message }) }),
      headers: { [HEADERS.idempotencyKey]: newKey(this.#random) },
      repeat: 'always',
    }
    const read = async (answer: Answer): Promise<RolledBack> => ({
      generation: await readGeneration(answer),
      changed: answer.status !== UNCHANGED,
    })
    const rolledBack = await this.#caller.read(request, read, signal)
    const { generation } = rolledBack
    if (generation.state === 'active') await this.#heads.accept(generation, [], signal)
    return rolledBack
  }

  async createToken(request: TokenRequest, signal?: AbortSignal): Promise<NewTokenBody> {
    return await this.#caller.json(NewTokenSchema, post(PATHS.tokens, request), signal)
  }

  async tokens(signal?: AbortSignal): Promise<readonly TokenBody[]> {
    return (await this.#caller.json(TokensBody, { path: PATHS.tokens }, signal)).tokens
  }

  async revokeToken(id: string, signal?: AbortSignal): Promise<void> {
    await this.#caller.done({ method: 'DELETE', path: tokenPath(id) }, signal)
  }

  async keys(signal?: AbortSignal): Promise<KeysBody> {
    return await this.#caller.json(KeysBody, { path: PATHS.keys }, signal)
  }

  async rotateKey(current: string, signal?: AbortSignal): Promise<KeysBody> {
    // The key whose place is taken is named, so that the same again does nothing.
    const call: Call = { ...post(PATHS.keys, { current }), repeat: 'always' }
    return await this.#caller.json(KeysBody, call, signal)
  }

  async retireKey(id: string, signal?: AbortSignal): Promise<KeysBody> {
    return await this.#caller.json(KeysBody, { method: 'DELETE', path: keyPath(id) }, signal)
  }

  async *scrub(signal?: AbortSignal): AsyncGenerator<ScrubLine> {
    const answer = await this.#caller.call({ method: 'POST', path: PATHS.scrub }, signal)
    yield* readLines(answer.chunks(), scrubLineOf, boundsOf(answer))
  }

  async fork(signal?: AbortSignal): Promise<Generation> {
    return await this.#caller.read({ method: 'POST', path: PATHS.fork }, readGeneration, signal)
  }

  async *adopt(request: AdoptRequest, signal?: AbortSignal): AsyncGenerator<AdoptLine> {
    const answer = await this.#caller.call(post(PATHS.adopt, request), signal)
    for await (const line of readLines(answer.chunks(), adoptLineOf, boundsOf(answer))) {
      if (line.kind === 'failed')
        throw problemIn(JSON.stringify(line)) ?? answer.invalid('an unknown failure')
      yield line
    }
  }

  async nodes(signal?: AbortSignal): Promise<NodesBody> {
    return await this.#caller.json(NodesBody, { path: PATHS.nodes }, signal)
  }

  async #gidOf(ref: string, signal?: AbortSignal): Promise<Gid> {
    return isGid(ref) ? ref : (await this.generation(ref, signal)).gid
  }
}

function post(path: string, value: unknown): Call {
  return { method: 'POST', path, body: jsonBody(value) }
}
