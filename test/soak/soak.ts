/**
 * A cluster under publishers, clients of all kinds and nemeses, all of it written down; then everything is healed, and
 * the checker reads the history.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readHistory } from '../checker/history.ts'
import { monotonicMs, Recorder } from '../checker/recorder.ts'
import { Chance } from '../fuzz/chance.ts'
import type { Program } from '../story/balancer.ts'
import { mountDisk } from '../support/small-disk.ts'
import { askEveryNode, healed, recordTruth } from './aftermath.ts'
import { Cluster } from './cluster.ts'
import { doubter } from './doubters.ts'
import { Lateness } from './lateness.ts'
import { type NemesisName, storm } from './nemeses.ts'
import { officialClient } from './official.ts'
import { beginning, publisher } from './publishers.ts'
import { linkClient, stockClient } from './readers.ts'
import { Board, type Mishap, type Scene } from './scene.ts'
import { JUDGED, type Verdict, verdictOf } from './verdict.ts'

export interface SoakWish {
  /** An empty folder, for everything. */
  readonly folder: string
  readonly milliseconds: number
  readonly seed: number
  readonly balancers: readonly Program[]
  readonly nemeses: readonly NemesisName[]
  /** How many of each kind. */
  readonly clients?: number
  readonly publishers?: number
  readonly pauseMs?: number
  /** Between two nemeses, at most. */
  readonly calmMs?: number
  /** Invariants for which there has to be something to judge. */
  readonly judged?: readonly string[]
  readonly report?: (sentence: string) => void
}

/** Of the replica with a small disk: room for a long soak, and for what is kept free of it. */
const SMALL_DISK = 'size=600m'
const SMALL = 'r3'
const CHANNELS = ['stable', 'testing', 'nightly']
const REPORT_MS = 15_000

/** Resolves whatever it found; the history is in `folder/history.ndjson`. */
export async function soak(wish: SoakWish): Promise<Verdict> {
  const { folder, milliseconds, seed, balancers, nemeses, report = () => undefined } = wish
  const path = join(folder, 'history.ndjson')
  await using disks = new AsyncDisposableStack()
  const small = await smallDisk(folder, disks, report)
  const possible = nemeses.filter((name) => name !== 'full disk' || small !== undefined)
  const over = new AbortController()
  const mishaps: Mishap[] = []
  const board = new Board()
  const troubles: string[] = []
  let done: Readonly<Record<string, number>> = {}
  let late: Readonly<Record<string, number>> = {}
  {
    await using recorder = await Recorder.open(path)
    await using cluster = await Cluster.start({ folder, recorder, balancers })
    using lateness = new Lateness(recorder, () => cluster.processes)
    board.seenAt.set((await cluster.origin.client.head()).gid, monotonicMs())
    const scene: Scene = {
      recorder,
      doors: cluster.fronts.map(({ name, balancer }) => ({ name, url: balancer.url })),
      replicas: cluster.replicas.map(({ node }) => node.url),
      channels: CHANNELS,
      board,
      over: over.signal,
      mishaps,
      pauseMs: wish.pauseMs ?? 60,
    }
    const chance = new Chance(seed)
    await beginning(scene, cluster.origin.token, chance)
    const crowd = gather(scene, cluster, wish, chance)
    const begun = performance.now()
    const timer = setInterval(
      () => report(`${Math.round((performance.now() - begun) / 1_000)} s, head ${board.latest}`),
      REPORT_MS,
    )
    const plan = { names: possible, small }
    const storming = storm(cluster, scene, { ...plan, calmMs: wish.calmMs ?? 3_000 }, chance)
    try {
      await Promise.race([sleep(milliseconds), storming])
    } finally {
      over.abort()
      clearInterval(timer)
    }
    report('over; what is under way ends')
    done = await storming
    await Promise.all(crowd)
    report('healing')
    troubles.push(...(await healed(cluster)))
    await askEveryNode(scene, cluster)
    await recordTruth(recorder, cluster.origin.client, board)
    cluster.facts.close()
    troubles.push(...cluster.nodes.flatMap(({ deaths }) => deaths))
    troubles.push(...cluster.nodes.flatMap((node) => errorsIn(node.id, node.log)))
    late = lateness.sums
    for (const { id, log } of cluster.nodes) await writeFile(join(folder, `${id}.log`), log)
    for (const { name, balancer } of cluster.fronts)
      await writeFile(join(folder, `${name}.log`), balancer.log())
  }
  report('checking')
  // Only nginx has a cache, which I27 is about.
  const judged = wish.judged ?? JUDGED.filter((name) => name !== 'I27' || balancers.includes('nginx'))
  const history = await readHistory(path)
  return verdictOf({ history, mishaps, troubles, nemeses: done, wanted: possible, late }, judged)
}

/** Everybody who publishes and reads, until it is over. */
function gather(scene: Scene, cluster: Cluster, wish: SoakWish, chance: Chance): readonly Promise<void>[] {
  const { clients = 3, publishers = 3, folder } = wish
  const token = cluster.origin.token
  const own = (): Chance => new Chance(chance.below(2 ** 32))
  const crowd: Promise<void>[] = []
  for (let at = 0; at < publishers; at += 1) crowd.push(publisher(scene, `p${at}`, token, own()))
  for (let at = 0; at < clients; at += 1) {
    crowd.push(
      stockClient(scene, `c0-${at}`, own()),
      linkClient(scene, `c1-${at}`, own()),
      officialClient(scene, `c3-${at}`, join(folder, `c3-${at}`), own()),
      doubter(scene, `d-${at}`, own(), at % 3 === 2),
    )
  }
  return crowd
}

/** A file system of its own for one replica, if one may be mounted here. */
async function smallDisk(
  folder: string,
  disks: AsyncDisposableStack,
  report: (sentence: string) => void,
): Promise<{ readonly id: string; readonly folder: string } | undefined> {
  const path = join(folder, SMALL)
  await mkdir(path, { recursive: true })
  try {
    disks.use(await mountDisk(path, SMALL_DISK))
    return { id: SMALL, folder: path }
  } catch (error) {
    report(`no full disk, for none can be mounted here: ${String(error)}`)
    return undefined
  }
}

/** What a node itself calls an error: nothing of what is done to it is one. */
function errorsIn(id: string, log: string): readonly string[] {
  const lines = log
    .split('\n')
    .filter((line) => /"level":(?:50|60)/.test(line) || /^(?:Error|\s+at )/.test(line))
  return lines.slice(0, 5).map((line) => `${id} logged ${line.slice(0, 600)}`)
}
