/**
 * Short, directed loads on an origin and one replica: each brings about one situation in which a rule decides, and asks
 * what the rule is about. What comes of it is for the checker to say.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, connect, digestOf, type Gid } from '../../src/client/index.ts'
import { catalogPath, filePath, pinned } from '../../src/wire/paths.ts'
import { monotonicMs, type Recorder } from '../checker/recorder.ts'
import { publish } from '../support/publish.ts'
import type { Cluster } from './cluster.ts'
import { pathOf } from './publishers.ts'
import { type Board, numberOf } from './scene.ts'

export interface Trial {
  readonly recorder: Recorder
  readonly cluster: Cluster
  readonly board: Board
}

const CHANNEL = 'stable'
const FILE = 'a-file'
const CLIENT = { client: 'c' }
const TRICKLE = 40_000
const LARGE_BYTES = 400_000
const PATIENCE_MS = 20_000
const LOOK_MS = 20
/** Of a wait that should end after a second. */
const TOO_LONG_MS = 8_000

interface Committed {
  readonly gid: Gid
  /** Without pin. */
  readonly manifest: string
  readonly file: string
}

/** Commits a release at the origin, and tells the board. */
async function commit(trial: Trial, size = 10): Promise<Committed> {
  const { board } = trial
  const bytes = randomBytes(size)
  const release = { channel: CHANNEL, name: `release-${board.releases.size}`, version: '1.0.0' }
  const { gid } = await publish(adminOf(trial), { ...release, files: { [FILE]: bytes } })
  const published = { ...release, files: [{ path: FILE, digest: digestOf(bytes), size }] }
  const manifest = pathOf(published)
  board.releases.set(manifest, published)
  board.tell(gid, monotonicMs(), [published])
  return { gid, manifest, file: filePath(CHANNEL, release.name, release.version, FILE) }
}

function adminOf({ recorder, cluster: { origin } }: Trial): Client {
  const fetch = recorder.fetch(() => ({ client: 'publisher' }))
  return connect({ url: origin.url, token: origin.token, fetch })
}

/** The state of the replica, as it says itself. */
async function stateOf({ cluster }: Trial): Promise<{ readonly gid: string; readonly label: string }> {
  const answer = await fetch(`${cluster.replicas[0]!.node.url}/livez`)
  await answer.text()
  const { headers } = answer
  return { gid: headers.get('depot-generation') ?? '', label: headers.get('depot-node') ?? '' }
}

async function until(
  trial: Trial,
  is: (state: Awaited<ReturnType<typeof stateOf>>) => boolean,
): Promise<void> {
  for (const ends = performance.now() + PATIENCE_MS; performance.now() < ends; await sleep(LOOK_MS))
    if (is(await stateOf(trial))) return
  throw new Error(`the replica never came to where it was wanted: ${JSON.stringify(await stateOf(trial))}`)
}

async function copied(trial: Trial, { gid }: Pick<Committed, 'gid'>): Promise<void> {
  await until(trial, (state) => numberOf(state.gid) >= numberOf(gid) && state.label.includes('state=fresh'))
}

/** It has heard of a generation whose bytes only trickle in; or, where a rule is off, it shows it already. */
async function behind(trial: Trial): Promise<Committed> {
  await copied(trial, await commit(trial))
  trial.cluster.replicas[0]!.link.set({ bytesPerSecond: TRICKLE }, 'down')
  const committed = await commit(trial, LARGE_BYTES)
  await until(trial, (state) => state.label.includes('state=lag') || state.gid === committed.gid)
  return committed
}

async function ask(
  { recorder, cluster }: Trial,
  path: string,
  headers: Record<string, string> = {},
): Promise<ReturnType<Recorder['ask']>> {
  const [front] = cluster.fronts
  const asker = front === undefined ? CLIENT : { ...CLIENT, through: front.name }
  const url = front?.balancer.url ?? cluster.replicas[0]!.node.url
  return await recorder.ask(asker, url, path, { headers })
}

/** What is new, asked of a node that has heard of it: by its name, and what changes with the head. */
export async function askedBehind(trial: Trial): Promise<void> {
  const committed = await behind(trial)
  await ask(trial, committed.manifest)
  await ask(trial, catalogPath(CHANNEL))
  trial.cluster.replicas[0]!.link.heal()
  await copied(trial, committed)
}

/** A pin that a node has not heard of, for its link is dead in one direction. */
export async function askedUnheard(trial: Trial): Promise<void> {
  await copied(trial, await commit(trial))
  const { link, node } = trial.cluster.replicas[0]!
  const apart = trial.cluster.facts.apart(node.id)
  link.silence('down')
  const committed = await commit(trial)
  await ask(trial, pinned(committed.gid, catalogPath(CHANNEL)), { prefer: 'wait=1' })
  link.heal()
  apart()
  await copied(trial, committed)
}

/** A wait that nothing can end: the node is behind, and nobody can answer in its place. */
export async function heldAlone(trial: Trial): Promise<void> {
  const committed = await behind(trial)
  const { link, node } = trial.cluster.replicas[0]!
  const apart = trial.cluster.facts.apart(node.id)
  link.cut()
  const held = ask(trial, catalogPath(CHANNEL), { prefer: 'wait=1' })
  await Promise.race([held, sleep(TOO_LONG_MS)])
  link.heal()
  apart()
  await held
  await copied(trial, committed)
}

/** The same bytes in two generations, with a condition. */
export async function askedAgain(trial: Trial): Promise<void> {
  await copied(trial, await commit(trial))
  const { line } = await ask(trial, catalogPath(CHANNEL))
  const staging = await adminOf(trial).openStage({ message: 'another channel' })
  await staging.setChannel('other', {})
  const { generation } = await staging.commit()
  trial.board.tell(generation.gid, monotonicMs(), [])
  await copied(trial, generation)
  await ask(trial, catalogPath(CHANNEL), { 'if-none-match': line.etag ?? '' })
}

/** All that a generation lists, as soon as the node shows it. */
export async function askedForAll(trial: Trial): Promise<void> {
  const { gid, manifest, file } = await commit(trial, LARGE_BYTES)
  await until(trial, (state) => state.gid === gid)
  trial.recorder.add({ what: 'listed', gid, paths: [manifest, file] })
  for (const path of [manifest, file]) await ask(trial, pinned(gid, path))
}
