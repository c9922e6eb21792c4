/**
 * What Depot is for, at a small scale: replicas are restarted one after the other behind a balancer, while a publisher
 * commits and readers read. What the readers met is counted.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '../../client/client.ts'
import { sourceOfBytes } from '../../client/index.ts'
import type { Manifest } from '../../model/manifest.ts'
import type { Clock } from '../../model/world.ts'
import { DemoReaders, FILE, type Met, PAIR } from './readers.ts'
import { DemoReplica } from './replica.ts'
import { RoundRobin } from './round-robin.ts'

export interface RollingParts {
  /** Of the origin, as its administrator. */
  readonly client: Client
  readonly origin: string
  readonly channel: string
  /** Where replicas get folders of their own. */
  readonly folder: string
  readonly clock: Pick<Clock, 'monotonic'>
  readonly signal: AbortSignal
}

export interface Rolled extends Met {
  readonly commits: number
  readonly seconds: number
}

const IDS = ['r1', 'r2']
/** Publishers in real life are slower. */
const COMMIT_EVERY_MS = 100
const READERS_OF_EACH_KIND = 2

export class Rolling implements AsyncDisposable {
  readonly #parts: RollingParts
  readonly #opened: AsyncDisposable[] = []
  readonly #replicas: DemoReplica[] = []
  #commits = 0

  constructor(parts: RollingParts) {
    this.#parts = parts
  }

  /** Starts the replicas, and waits until each has all that the origin has. Their addresses. */
  async start(): Promise<readonly string[]> {
    const { client, origin, folder, signal } = this.#parts
    await this.#commit()
    const { token } = await client.createToken({ label: 'replicas', scopes: ['replicate'] }, signal)
    const starting = IDS.map(async (id) => {
      const wish = { id, data: join(folder, id), upstream: origin, token }
      const replica = await DemoReplica.start(wish, signal)
      this.#opened.push(replica)
      return replica
    })
    // All of them, so that whatever has started is closed too.
    const started = await Promise.allSettled(starting)
    for (const one of started)
      if (one.status === 'fulfilled') this.#replicas.push(one.value)
      else throw one.reason
    return this.#replicas.map(({ url }) => url)
  }

  /** Restarts every replica, the next one when the one before is ready again. */
  async roll(): Promise<Rolled> {
    const { clock, channel, signal } = this.#parts
    const balancer = await RoundRobin.start(this.#replicas.map(({ url }) => url))
    this.#opened.push(balancer)
    const readers = new DemoReaders(balancer.url, channel)
    const over = new AbortController()
    const before = this.#commits
    const began = clock.monotonic()
    const busy = [this.#publish(over.signal)]
    for (let count = 0; count < READERS_OF_EACH_KIND; count += 1)
      busy.push(readers.official(over.signal), readers.following(over.signal))
    const all = Promise.all(busy)
    // What fails is told below, when all have ended.
    all.catch(() => undefined)
    try {
      for (const replica of this.#replicas) await replica.restart(signal)
    } finally {
      over.abort()
      await Promise.allSettled(busy)
    }
    await all
    const seconds = Math.round((clock.monotonic() - began) / 100) / 10
    return { ...readers.met(), commits: this.#commits - before, seconds }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.#opened.reverse()) await one[Symbol.asyncDispose]()
  }

  async #publish(over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      await this.#commit()
      await sleep(COMMIT_EVERY_MS, undefined, { signal: over }).catch(() => undefined)
    }
  }

  /** The pair, with the number of this commit as its version and in its files. */
  async #commit(): Promise<void> {
    const { client, channel, signal } = this.#parts
    const version = `${this.#commits + 1}.0.0`
    const staging = await client.openStage({ message: `publish ${PAIR.join(' and ')} ${version}` }, signal)
    const source = sourceOfBytes(Buffer.from(version))
    await staging.upload([source], undefined, signal)
    const files = [{ path: FILE, digest: source.digest, size: source.size }]
    for (const name of PAIR)
      await staging.put(channel, { name, version, files } as unknown as Manifest, signal)
    await staging.commit({}, signal)
    this.#commits += 1
  }
}
