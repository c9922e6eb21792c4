/**
 * What an origin does about its lineage while it runs: it finds out whether it has all that it ever had, brings back what
 * was lost from a node that has it, or begins another lineage (PROTOCOL §10).
 *
 * While it is not sure it serves what it has and commits nothing, so neither way needs it to be stopped.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { forkLineage } from '../../depot/lineage/fork.ts'
import { GRACE_MS, OriginCheck, type Testimony } from '../../depot/lineage/origin-check.ts'
import { OriginNode } from '../../depot/lineage/origin-node.ts'
import { unlessGone } from '../../disk/durable.ts'
import type { LineageFace } from '../../http/routes/lineage/lineage.ts'
import { failure, isFailure } from '../../model/errors.ts'
import type { Generation, Lineage } from '../../model/generation.ts'
import { LIMITS } from '../../model/limits.ts'
import { HttpUpstream } from '../../replica/http-upstream.ts'
import { UpstreamTrust } from '../../replica/keys/trust.ts'
import { takeHead, targetOf } from '../../replica/lineage/take.ts'
import { inAll } from '../../replica/progress.ts'
import { sleep } from '../../replica/sleep.ts'
import type { AdoptLine } from '../../wire/bodies.ts'
import type { Caller } from '../../wire/caller.ts'
import { generationPath, PATHS } from '../../wire/paths.ts'
import { GenerationBody } from '../../wire/schemas.ts'
import type { PlaceParts } from '../place.ts'
import { callerOf, mayReplicate } from './sources.ts'

export interface OriginLineageParts extends PlaceParts {
  readonly data: string
  readonly allowUnverified: boolean
}

export class OriginLineage implements LineageFace, AsyncDisposable {
  readonly check: OriginCheck
  readonly node: OriginNode
  readonly #parts: OriginLineageParts
  readonly #ending = new AbortController()
  readonly #timers: NodeJS.Timeout[] = []
  #asking: Promise<void> = Promise.resolve()
  #forking: Promise<void> | undefined
  #adopting: Promise<void> = Promise.resolve()
  #isAdopting = false
  #told = 'sure'

  constructor(parts: OriginLineageParts) {
    const { depot, clock, allowUnverified, isDraining } = parts
    this.#parts = parts
    this.check = new OriginCheck({
      generations: depot.generations,
      notes: depot.ledger.notes,
      clock,
      allowUnverified,
    })
    this.node = new OriginNode(depot.head, this.check, isDraining)
  }

  /** Before anybody is answered. */
  async begin(): Promise<void> {
    await this.check.begin()
    await this.#look()
  }

  /** Asks those who followed before, where it is known where they are; and waits for the others no longer than a lease. */
  start(): void {
    if (this.check.unheard().length === 0) return
    const later = (afterMs: number, work: () => Promise<void>): NodeJS.Timeout =>
      setTimeout(() => void work().catch(this.#onBug), afterMs).unref()
    this.#timers.push(
      later(GRACE_MS + 1, async () => await this.#look()),
      later(LIMITS.nodeForgetMs, async () => await this.check.forgetSilent()),
    )
    this.#asking = this.#askAll().catch(this.#onBug)
  }

  async hear(testimony: Testimony): Promise<void> {
    const hasChanged = await this.check.hear(testimony)
    if (hasChanged || this.check.isForkDue()) await this.#look()
  }

  async left(id: string): Promise<void> {
    await this.check.left(id)
    await this.#look()
  }

  async fork(publisher: string): Promise<Generation> {
    return await this.#fork('fork', publisher)
  }

  /** A line now and then, and at last what came of it. */
  async *adopt(from: string, token: string | undefined, gone: AbortSignal): AsyncGenerator<AdoptLine> {
    if (this.#isAdopting) throw failure('hold-limit', { limit: 1, what: 'adoptions' })
    this.#isAdopting = true
    const lines: AdoptLine[] = []
    let wake: () => void = () => undefined
    const signal = AbortSignal.any([gone, this.#ending.signal])
    const adopted = this.#adoptAs({ from, token, signal }, (line) => {
      // What nobody has read yet is old news.
      lines.splice(0, lines.length, line)
      wake()
    }).finally(() => {
      this.#isAdopting = false
      wake()
    })
    // How it has failed is told below, whenever the reader comes to it.
    this.#adopting = adopted.then(
      () => undefined,
      () => undefined,
    )
    while (this.#isAdopting) {
      const { promise, resolve } = Promise.withResolvers<void>()
      wake = resolve
      const line = lines.shift()
      if (line !== undefined) yield line
      else if (this.#isAdopting) await promise
    }
    yield await adopted
  }

  /** Ends what is under way: the node is going. */
  stop(): void {
    this.#ending.abort(failure('draining', {}))
    for (const timer of this.#timers) clearTimeout(timer)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop()
    // Whoever waits for a fork is told how it has failed.
    await Promise.allSettled([this.#asking, this.#adopting, this.#forking])
  }

  /** As a node that may replicate. A replica hears of a new token within moments, as of every other. */
  async #adoptAs(
    { from, token, signal }: Omit<Adopting, 'token'> & { readonly token: string | undefined },
    tell: (line: AdoptLine) => void,
  ): Promise<AdoptLine> {
    if (token !== undefined) return await this.#adopt({ from, token, signal }, tell)
    const { access } = this.#parts.depot
    const { token: made, secret } = await access.create({ label: 'adopt', scopes: ['replicate'] })
    try {
      await this.#untilKnown(from, secret, signal)
      return await this.#adopt({ from, token: secret, signal }, tell)
    } finally {
      await access.revoke(made.id)
    }
  }

  /** Whoever does not follow this origin never hears of it: then the first thing that is asked tells so. */
  async #untilKnown(from: string, secret: string, signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts
    const ends = clock.monotonic() + LIMITS.accessWaitMs
    while (clock.monotonic() < ends && !(await mayReplicate(from, secret, signal)))
      await sleep(LIMITS.retryLeastMs, signal)
  }

  async #adopt({ from, token, signal }: Adopting, tell: (line: AdoptLine) => void): Promise<AdoptLine> {
    const { depot, store, examine, clock } = this.#parts
    const parts = {
      ...store,
      reader: depot.reader,
      examine,
      clock,
      generations: depot.ledger.generations,
      upstream: new HttpUpstream(callerOf(from, token)),
      trust: new UpstreamTrust({ keys: depot.keys, ask: async () => undefined, given: undefined, clock }),
    }
    const target = await targetOf(parts, signal)
    const own = depot.head.now()
    // What another lineage has committed is nothing that was lost in this one.
    if (target.record.lineage !== own.record.lineage)
      throw failure('origin-superseded', { generation: own.gid, seen: target.gid })
    const { generation, metaset } = await takeHead(parts, target, signal, (report) => {
      const { done, total } = inAll(report)
      tell({ kind: 'progress', done, needed: total })
    })
    // One that has nothing newer may be this node itself, and vouches for nothing.
    if (metaset === undefined) return { kind: 'done', gid: generation.gid, changed: false }
    depot.views.keep(generation.gid, metaset)
    depot.head.move(generation)
    await this.check.adopted()
    await this.#look()
    return { kind: 'done', gid: generation.gid, changed: true }
  }

  async #fork(reason: 'fork' | 'restore', publisher: string): Promise<Generation> {
    const { depot, clock, random, log } = this.#parts
    const generation = await depot.commits.alone(async () => {
      const before = depot.head.now()
      const generations = depot.ledger.generations
      const wish = { reason, highest: this.check.highest(), publisher }
      const forked = await forkLineage({ generations, clock, random }, wish)
      depot.views.keep(forked.gid, (await depot.views.of(before)).metaset)
      depot.head.move(forked)
      return forked
    })
    await this.check.forked()
    log.warn({ gid: generation.gid, parent: generation.record.parent }, 'another lineage was begun')
    await this.#look()
    return generation
  }

  /** Wakes those who wait, tells the log, and forks where a restored folder is to. */
  async #look(): Promise<void> {
    if (this.check.isForkDue()) {
      this.#forking ??= this.#fork('restore', 'depot restore')
        .then(() => undefined)
        .finally(() => {
          this.#forking = undefined
        })
      await this.#forking
    }
    const verdict = this.check.verdict()
    if (verdict.kind !== this.#told) this.#parts.log.warn(verdict, SENTENCES[verdict.kind])
    this.#told = verdict.kind
    this.node.wake()
  }

  readonly #onBug = (err: unknown): void => {
    this.#parts.log.error({ err }, 'what was heard of lineages could not be settled')
  }

  /** What a node tells of its head anybody may read, or the administrator may; of others it tells in time by itself. */
  async #askAll(): Promise<void> {
    const text = await readFile(join(this.#parts.data, 'admin.token'), 'utf8').catch(unlessGone)
    await Promise.all(
      this.check.unheard().map(async ({ id, publicUrl }) => {
        if (publicUrl !== undefined) await this.#ask(id, publicUrl, text?.trim())
      }),
    )
  }

  async #ask(id: string, publicUrl: string, token: string | undefined): Promise<void> {
    const caller = callerOf(publicUrl, token)
    const signal = AbortSignal.any([this.#ending.signal, AbortSignal.timeout(GRACE_MS)])
    try {
      const head = await caller.json(GenerationBody, { path: PATHS.head }, signal)
      await this.hear({
        id,
        head: head.gid,
        publicUrl,
        lineages: await this.#lineageOf(head, caller, signal),
      })
    } catch (err) {
      if (!this.#ending.signal.aborted && !isFailure(err) && !signal.aborted) throw err
      this.#parts.log.info({ err, id }, 'a node that followed this one cannot be asked')
    }
  }

  /**
   * Where the lineage of another node comes from, as far as it matters here: a node that has the own head in its past, or
   * has lost it in a fork, descends from this one. Its lineages themselves are for those who replicate.
   */
  async #lineageOf({ record }: Generation, caller: Caller, signal: AbortSignal): Promise<readonly Lineage[]> {
    const own = this.#parts.depot.head.now()
    if (record.lineage === own.record.lineage) return []
    const descends = (forkAt: number): readonly Lineage[] => [
      { id: record.lineage, parent: own.record.lineage, forkAt, reason: 'takeover' },
    ]
    try {
      await caller.json(GenerationBody, { path: generationPath(own.gid) }, signal)
      return descends(own.record.number)
    } catch (error) {
      if (isFailure(error, 'generation-lost')) return descends(Number(error.details['forkAt'] ?? 0))
      if (isFailure(error, 'lineage-foreign') || isFailure(error, 'generation-unknown')) return []
      throw error
    }
  }
}

interface Adopting {
  readonly from: string
  readonly token: string
  readonly signal: AbortSignal
}

const SENTENCES = {
  sure: 'this origin has all that those tell of who follow it',
  asking:
    'waiting for those who followed this origin to tell what they have; nothing is committed until then',
  unverified:
    'nobody who could tell whether something was lost was heard: commits are refused; start a replica, or run depot adopt or depot fork, or start with --allow-unverified',
  diverged:
    'this origin has lost generations that were committed: commits are refused; bring them back with depot adopt, or go on without them with depot fork',
  superseded: 'another node has become the origin: commits are refused; start this one as its replica',
} as const
