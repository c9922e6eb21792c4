/**
 * Killing a depot under publish load, round after round on one folder, and reading all of it after each start. The
 * story in the tests does ten rounds, the soak as many as it is asked for.
 *
 * Every publisher notes a generation as acknowledged before it begins the next. After a start: every acknowledged
 * generation is in the log, the head is the last of them or a later one, every generation is whole, and each changed
 * exactly what one stage held: three releases, never one or two of them.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, type Gid, type Manifest, sourceOfBytes } from '../../src/client/index.ts'
import { type Served, served } from './served.ts'
import { type Known, verifyDepot } from './verify.ts'

export interface RoundReport {
  readonly round: number
  /** Until it listened again, process start and all. */
  readonly startedMs: number
  readonly acknowledged: number
  readonly generations: number
  /** Commits whose answer was lost, and that were sent again after the start. */
  readonly repeated: number
}

export interface CrashOptions {
  readonly data: string
  readonly rounds: number
  readonly publishers?: number
  readonly report?: (round: RoundReport) => void
}

/** A commit that was sent and not answered. */
interface Pending {
  readonly stage: string
  readonly key: string
}

const CHANNELS = ['stable', 'unstable', 'nightly']

/** Fails with a sentence about the first thing that is not as it must be. */
export async function crashRounds({ data, rounds, publishers = 3, report }: CrashOptions): Promise<void> {
  const known: Known = { gids: new Set(), manifests: new Set() }
  const acknowledged = new Set<Gid>()
  for (let round = 1; round <= rounds; round += 1) {
    const pending = await killedUnderLoad(data, publishers, acknowledged)
    await using depot = await served({ data })
    const before = await depot.client.head()
    await expectAcknowledged(depot.client, acknowledged, before.record.number)
    for (const commit of pending) {
      const gid = await repeated(depot.client, commit)
      if (gid !== undefined) acknowledged.add(gid)
    }
    // Stages that were under way are there still, and nothing of them is to be seen.
    for (const { id } of await depot.client.stages()) await depot.client.stage(id).abort()
    const { generations, changes } = await verifyDepot(depot.client, known)
    for (const [gid, lines] of changes) expectOneStage(gid, lines)
    await expectNothingElse(depot, acknowledged.size)
    const ended = await depot.end('SIGTERM')
    if (ended.code !== 0) throw new Error(`it did not end well: ${JSON.stringify(ended)}`)
    report?.({
      round,
      startedMs: Math.round(depot.startedMs),
      acknowledged: acknowledged.size,
      generations: generations.length,
      repeated: pending.length,
    })
  }
}

/** Kills it in the middle of what the publishers do, at a moment that chance chooses. */
async function killedUnderLoad(
  data: string,
  publishers: number,
  acknowledged: Set<Gid>,
): Promise<readonly Pending[]> {
  await using depot = await served({ data })
  const over = new AbortController()
  const killAfter = acknowledged.size + 1 + Math.floor(Math.random() * 12)
  const acknowledge = (gid: Gid): void => {
    acknowledged.add(gid)
    // Not always at the moment of an answer: some time later, too.
    if (acknowledged.size >= killAfter) setTimeout(() => depot.process.kill('SIGKILL'), Math.random() * 40)
  }
  const publishing = Array.from(
    { length: publishers },
    async () => await publishUntil(over.signal, depot, acknowledge),
  )
  await depot.ended
  over.abort()
  return (await Promise.all(publishing)).filter((pending) => pending !== undefined)
}

/** Publishes until the depot is gone; the commit that was under way then, if one was. */
async function publishUntil(
  signal: AbortSignal,
  { client }: Served,
  acknowledge: (gid: Gid) => void,
): Promise<Pending | undefined> {
  let pending: Pending | undefined
  try {
    for (;;) {
      const staging = await client.openStage({}, signal)
      const tag = randomUUID()
      for (const channel of CHANNELS) {
        const sources = [
          randomBytes(50),
          randomBytes(3_000),
          randomBytes(channel === 'stable' ? 150_000 : 10),
        ].map((bytes) => sourceOfBytes(bytes))
        await staging.upload(sources, undefined, signal)
        const files = sources.map(({ digest, size }, at) => ({ path: `file-${at}`, digest, size }))
        await staging.put(
          channel,
          { name: `package-${tag}`, version: '1.0.0', files } as unknown as Manifest,
          signal,
        )
      }
      pending = { stage: staging.id, key: tag }
      const { generation } = await staging.commit({ idempotencyKey: tag }, signal)
      pending = undefined
      acknowledge(generation.gid)
    }
  } catch (error) {
    if (!signal.aborted) await untilAborted(signal, error)
    return pending
  }
}

/** A request fails a moment before the end of the process is noticed; if that does not come, the failure was real. */
async function untilAborted(signal: AbortSignal, error: unknown): Promise<void> {
  const isOver = once(signal, 'abort').then(() => true)
  if (!(await Promise.race([isOver, sleep(10_000, false, { ref: false })]))) throw error
}

/** Sends a commit again whose answer was lost; whatever became of it, it is one generation (I28). */
async function repeated(client: Client, { stage, key }: Pending): Promise<Gid | undefined> {
  const staging = client.stage(stage)
  const { state, committed } = await staging.show()
  const first = await staging.commit({ idempotencyKey: key })
  const second = await staging.commit({ idempotencyKey: key })
  if (first.generation.gid !== second.generation.gid || !first.changed || !second.changed)
    throw new Error(`stage ${stage} became ${first.generation.gid} and ${second.generation.gid}`)
  if (state === 'committed' && committed !== first.generation.gid)
    throw new Error(`stage ${stage} was ${committed} and is ${first.generation.gid}`)
  return first.generation.gid
}

async function expectAcknowledged(
  client: Client,
  acknowledged: ReadonlySet<Gid>,
  head: number,
): Promise<void> {
  const log = new Set<string>()
  for await (const { gid } of client.generations()) log.add(gid)
  const lost = [...acknowledged].filter((gid) => !log.has(gid))
  if (lost.length > 0) throw new Error(`acknowledged and lost: ${lost.join(', ')}`)
  const newest = Math.max(0, ...[...acknowledged].map((gid) => Number(/^g(\d+)/.exec(gid)?.[1])))
  if (head < newest) throw new Error(`the head is ${head}, and ${newest} was acknowledged`)
}

function expectOneStage(gid: string, lines: readonly { op: string; name: string; channel?: string }[]): void {
  const channels = new Set(lines.map(({ channel }) => channel))
  const names = new Set(lines.map(({ op, name }) => `${op} ${name}`))
  const isWhole = CHANNELS.every((channel) => channels.has(channel)) && lines.length === CHANNELS.length
  if (names.size !== 1 || !isWhole) throw new Error(`${gid} is no whole stage: ${JSON.stringify(lines)}`)
}

/** What is in the catalog of the head is what the generations brought, and no more of it. */
async function expectNothingElse(depot: Served, generations: number): Promise<void> {
  const session = await depot.client.session()
  const counts: number[] = []
  for await (const channel of session.channels()) counts.push(channel.releases)
  const { number } = session.generation.record
  if (counts.some((count) => count !== number) || number < generations)
    throw new Error(`${number} generations and ${counts.join(', ')} releases`)
  if (/"level":(?:50|60)/.test(depot.log())) throw new Error(`it logged an error: ${depot.log()}`)
}
