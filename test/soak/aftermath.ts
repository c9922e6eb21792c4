/**
 * When all is over: every replica is fresh again at the head of the origin, and says the same as it of every generation;
 * and what was true, from the log and the diffs of the origin, goes into the history.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import type { Client, Digest, Generation, Gid } from '../../src/client/index.ts'
import { blobPath, catalogPath, filePath, manifestPath, pinned } from '../../src/wire/paths.ts'
import { recordActivations } from '../checker/activations.ts'
import type { Recorder } from '../checker/recorder.ts'
import type { Cluster, Replica } from './cluster.ts'
import type { Board, Scene } from './scene.ts'

const HEALED_WITHIN_MS = 90_000
const LOOK_MS = 50
/** Generations whose catalogs every node is asked for. */
const COMPARED = 40

/** What is not as it was promised after everything was healed; nothing, when all is well. */
export async function healed(cluster: Cluster): Promise<readonly string[]> {
  for (const { link } of cluster.replicas) link.heal()
  const head = (await cluster.origin.client.head()).gid
  const until = performance.now() + HEALED_WITHIN_MS
  const behind = await Promise.all(
    cluster.replicas.map(async (replica) => await isFreshAt(replica, head, until)),
  )
  return behind.filter((sentence) => sentence !== undefined)
}

async function isFreshAt({ node }: Replica, head: string, until: number): Promise<string | undefined> {
  let seen = 'nothing'
  for (; performance.now() < until; await sleep(LOOK_MS)) {
    const signal = AbortSignal.timeout(5_000)
    const answer = await fetch(`${node.url}/v1/head`, { signal }).catch(() => undefined)
    await answer?.text()
    seen = `${answer?.headers.get('depot-generation')} ${answer?.headers.get('depot-node')}`
    if (seen.startsWith(`${head} ${node.id};role=replica;state=fresh`)) return undefined
  }
  return `${node.id} was not fresh at ${head} in ${HEALED_WITHIN_MS} ms: ${seen}`
}

/** Asks every node itself for catalogs of generations old and new, so that the checker sees them side by side (I2). */
export async function askEveryNode(scene: Scene, cluster: Cluster): Promise<void> {
  const seen = [...scene.board.seenAt.keys()] as Gid[]
  const step = Math.max(1, Math.floor(seen.length / COMPARED))
  const gids = seen.filter((_, at) => at % step === 0 || at === seen.length - 1)
  for (const gid of gids)
    for (const channel of scene.channels)
      for (const { id, url } of cluster.nodes)
        await scene.recorder.ask({ client: `after-${id}` }, url, pinned(gid, catalogPath(channel)))
}

/** The order of generations, and where in it each name is there. What publishers know of files is believed. */
export async function recordTruth(recorder: Recorder, origin: Client, board: Board): Promise<readonly Gid[]> {
  await recordActivations(recorder, origin, board.seenAt)
  const log: Generation[] = []
  for await (const generation of origin.generations()) log.push(generation)
  log.reverse()
  const since = new Map<string, Gid>()
  const blobs = new Set<Digest>()
  const content = (path: string, from: Gid, until?: Gid): void =>
    recorder.add({ what: 'content', path, from, ...(until === undefined ? {} : { until }) })
  for (const [at, { gid }] of log.entries()) {
    const before = log[at - 1]?.gid
    if (before === undefined) continue
    for await (const { op, channel = '', name, version } of origin.diff(before, gid)) {
      const path = manifestPath(channel, name, version)
      const from = since.get(path)
      if (op === 'added' && from === undefined) since.set(path, gid)
      if (op === 'removed' && from !== undefined) {
        for (const each of pathsOf(board, path)) content(each, from, gid)
        since.delete(path)
      }
      if (op === 'added') {
        for (const { digest } of board.releases.get(path)?.files ?? []) {
          if (!blobs.has(digest as Digest)) content(blobPath(digest as Digest), gid)
          blobs.add(digest as Digest)
        }
      }
    }
  }
  for (const [path, from] of since) for (const each of pathsOf(board, path)) content(each, from)
  return log.map(({ gid }) => gid)
}

/** A release by its path: its manifest, and each of its files by name. */
function pathsOf({ releases }: Board, path: string): readonly string[] {
  const known = releases.get(path)
  if (known === undefined) throw new Error(`the origin has ${path}, which nobody published`)
  return [path, ...known.files.map((file) => filePath(known.channel, known.name, known.version, file.path))]
}
