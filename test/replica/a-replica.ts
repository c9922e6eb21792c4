/**
 * A replica in this process, over real stores, and what makes one equal to its origin.
 */
import { expect } from 'vitest'
import { wholeOf } from '../../src/depot/read/whole.ts'
import { rootOf } from '../../src/metaset/node.ts'
import { entries } from '../../src/metaset/read.ts'
import { decodeRelease } from '../../src/metaset/release.ts'
import type { Tree } from '../../src/metaset/tree.ts'
import { type Digest, digestOf } from '../../src/model/digest.ts'
import { failure } from '../../src/model/errors.ts'
import type { Generation } from '../../src/model/generation.ts'
import type { KeyId } from '../../src/model/keys/key.ts'
import { Follower, type FollowerEvents, type FollowerParts } from '../../src/replica/follow.ts'
import { UpstreamTrust } from '../../src/replica/keys/trust.ts'
import { type PullParts, Pulls } from '../../src/replica/relay/pulls.ts'
import { type Sleep, sleep } from '../../src/replica/sleep.ts'
import type { Upstream } from '../../src/replica/upstream.ts'
import type { KeysBody } from '../../src/wire/keys.ts'
import {
  commit,
  type Engine,
  type EngineOptions,
  engine,
  manifestOf,
  open,
  type Wished,
} from '../depot/an-engine.ts'
import { realRandom } from '../support/real-world.ts'
import type { InProcess } from './an-upstream.ts'

export async function replica(options: EngineOptions = {}): Promise<Engine> {
  return await engine({ ...options, isReplica: true })
}

export function partsOf(at: Engine, upstream: Upstream, more: Partial<FollowerParts> = {}): FollowerParts {
  const { depot, stores, clock, examine } = at
  const { pool, reserve, nodes, incoming, room } = stores
  const { head, views, reader } = depot
  const generations = stores.ledger.generations
  const random = realRandom
  // Who fails tries again at once, and nobody is given up.
  const wait: Sleep = async (milliseconds, signal) =>
    await sleep(milliseconds > 20_000 ? milliseconds : 1, signal)
  return {
    pool,
    reserve,
    nodes,
    incoming,
    room,
    generations,
    head,
    views,
    reader,
    examine,
    clock,
    random,
    upstream,
    trust: trustOver(at, upstream),
    pulls: new Pulls({ incoming, pool, upstream, clock, sleep: wait, ...piecesOf(more) }),
    sleep: wait,
    ...more,
  }
}

/** As a replica trusts an upstream in this process: the first key that it sees. */
export function trustOver(at: Engine, upstream: Upstream, given?: KeyId): UpstreamTrust {
  const ask = async (): Promise<KeysBody | undefined> => {
    if (!('keys' in upstream)) throw failure('not-found', { what: 'key' })
    return await (upstream as InProcess).keys()
  }
  return new UpstreamTrust({ keys: at.depot.keys, ask, given, clock: at.clock })
}

/** Where a test puts stores of its own in the place of the engine's. */
function piecesOf({ pool, incoming, sleep: own }: Partial<FollowerParts>): Partial<PullParts> {
  const stores = { ...(pool === undefined ? {} : { pool }), ...(own === undefined ? {} : { sleep: own }) }
  return incoming === undefined ? stores : { ...stores, incoming: incoming as PullParts['incoming'] }
}

export interface Following extends AsyncDisposable {
  readonly follower: Follower
  /** Resolves when the replica shows this one; fails with what its copies failed with, when it is to. */
  shows(generation: Generation): Promise<void>
  readonly failures: unknown[]
}

/** A replica that follows until it is disposed of. */
export function following(at: Engine, upstream: Upstream, more: Partial<FollowerParts> = {}): Following {
  const stop = new AbortController()
  const failures: unknown[] = []
  const events: Partial<FollowerEvents> = {
    ...more.events,
    failed: (error, attempt) => {
      failures.push(error)
      more.events?.failed?.(error, attempt)
    },
  }
  const parts = partsOf(at, upstream, { ...more, events })
  const follower = new Follower(parts)
  const running = follower.run(stop.signal)
  return {
    follower,
    failures,
    shows: async ({ gid }) => {
      const { head } = at.depot
      const until = AbortSignal.timeout(20_000)
      while (!head.isThere() || head.now().gid !== gid) {
        const seen = head.isThere() ? head.now().gid : undefined
        await head.after(seen, 20_000, until)
        if (until.aborted) throw new Error(`${gid} was never shown`, { cause: failures.at(-1) })
      }
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await running
      // What was begun for others, too, goes on until it is told.
      if (parts.pulls instanceof Pulls) await parts.pulls.close()
    },
  }
}

/** Commits many releases of one channel as one generation. */
export async function publishedAll(
  at: Engine,
  channel: string,
  wishes: readonly Wished[],
): Promise<Generation> {
  const stage = await open(at, at.admin)
  const manifests = wishes.map((wish) => manifestOf(wish))
  const blobs = new Map(manifests.flatMap((one) => one.blobs).map((blob) => [blob.digest, blob]))
  await at.depot.blobs.putAll(at.admin, stage, [...blobs.values()])
  const texts = manifests.map(({ text }) => text)
  for (let from = 0; from < texts.length; from += 1_000)
    await at.depot.releases.putAll(at.admin, stage, channel, texts.slice(from, from + 1_000))
  return (await commit(at, at.admin, stage)).generation
}

/** Commits a release whose one file is larger than what goes into a batch. */
export async function publishedLarge(at: Engine, version: string, bytes: Buffer): Promise<Generation> {
  const stage = await open(at, at.admin)
  const digest = digestOf(bytes)
  const size = bytes.length
  await at.depot.blobs.missing(at.admin, stage, [{ digest, size }])
  await at.depot.blobs.upload(at.admin, stage, {
    digest,
    size,
    offset: 0,
    bytes: once(bytes),
    complete: true,
  })
  const text = JSON.stringify({ files: [{ digest, path: 'large.bin', size }], name: 'large', version })
  const wish = { channel: 'stable', name: 'large', version }
  await at.depot.releases.put(at.admin, stage, wish, Buffer.from(text))
  return (await commit(at, at.admin, stage)).generation
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** Everything that the head of the replica names is there and right, and the head is this generation of the origin. */
export async function expectEqual(at: Engine, origin: Engine, generation: Generation): Promise<void> {
  expect(at.depot.head.now()).toEqual(generation)
  expect(at.stores.ledger.generations.head()).toEqual(generation)
  expect(at.stores.ledger.generations.isHeld(generation.gid)).toBe(true)
  await expectComplete(at)
  const newest = { kind: 'number', atMost: generation.record.number } as const
  expect(at.depot.generations.list(newest, 1_000)).toEqual(origin.depot.generations.list(newest, 1_000))
  expect(at.depot.generations.lineages()).toEqual(origin.depot.generations.lineages())
}

/** The head is whole: every node, every manifest, every file. */
export async function expectComplete(at: Engine): Promise<void> {
  const { metaset } = await at.depot.views.of(at.depot.head.now())
  for (const { releases, bound } of Object.values(metaset.channels)) {
    await expectNodes(at, bound)
    await expectNodes(at, releases)
    for await (const { line } of entries(at.depot.reader, releases)) {
      const bytes = await bytesOf(at, decodeRelease(line).manifest)
      const { files } = JSON.parse(bytes.toString()) as { files: { digest: Digest; size: number }[] }
      for (const { digest, size } of files) expect((await bytesOf(at, digest)).length).toBe(size)
    }
  }
}

async function expectNodes(at: Engine, tree: Tree): Promise<void> {
  if (tree.count === 0) return
  expect(digestOf(await at.stores.nodes.read(tree.root))).toBe(tree.root)
  if (tree.level === 1) return
  const node = await rootOf(at.depot.reader, tree)
  for (let child = 0; child < node.length; child += 1) await expectNodes(at, node.child(child))
}

async function bytesOf(at: Engine, digest: Digest): Promise<Buffer> {
  const blob = await at.stores.pool.open(digest)
  if (blob === undefined) throw new Error(`${digest} is not here`)
  const bytes = await wholeOf(blob)
  expect(digestOf(bytes)).toBe(digest)
  return bytes
}

/** What is asked for from now on although it is here already, or twice in one request. */
export function askedTwice(at: Engine, upstream: InProcess): readonly Digest[] {
  const twice: Digest[] = []
  const hasBlob = (digest: Digest): boolean => {
    const blob = at.stores.pool.open(digest)
    return !(blob instanceof Promise) && blob !== undefined
  }
  upstream.onRequest = (kind, digests) => {
    const isHere = kind === 'nodes' ? (digest: Digest) => at.stores.nodes.has(digest) : hasBlob
    twice.push(
      ...digests.filter(isHere),
      ...digests.filter((digest, place) => digests.indexOf(digest) < place),
    )
  }
  return twice
}
