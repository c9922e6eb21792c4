/**
 * As many requests as a node lets wait, and some more: a replica hears of a generation, and the origin dies before it has
 * come. Until the lease runs out, the replica can neither answer for the head nor have the origin do so (I16, I17).
 */
import { randomBytes } from 'node:crypto'
import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, type Digest, type Gid, type Manifest, sourceOfBytes } from '../../src/client/index.ts'
import { blobPath, catalogPath, pinned } from '../../src/wire/paths.ts'
import { monotonicMs } from '../checker/recorder.ts'
import type { Chance } from '../fuzz/chance.ts'
import type { Cluster, Replica } from './cluster.ts'
import { pathOf } from './publishers.ts'
import type { Scene } from './scene.ts'

/** More than may wait. */
const REQUESTS = 560
const WAIT_SECONDS = 2
const PROBES = 120
const LARGE_BYTES = 3_000_000
const TRICKLE = 60_000
const HEARD_WITHIN_MS = 10_000
const LOOK_MS = 25

export async function holdMany(
  cluster: Cluster,
  scene: Scene,
  { node, link }: Replica,
  chance: Chance,
): Promise<void> {
  await probe(scene, node.url)
  const slow = cluster.facts.begin('delay', node.id)
  link.set({ bytesPerSecond: TRICKLE }, 'down')
  await publishLarge(scene, cluster, chance)
  const hears = await untilBehind(node.url)
  slow()
  const down = cluster.facts.begin('origin-down', 'origin')
  const cut = cluster.facts.begin('link', node.id)
  const apart = cluster.facts.apart(node.id)
  link.cut()
  if (hears) {
    const holds = cluster.facts.begin('holds', node.id)
    const agent = new Agent({ keepAlive: true, maxSockets: REQUESTS })
    const waiting = Array.from({ length: REQUESTS }, async (_, at) => {
      const asker = { client: `holder-${at}` }
      await scene.recorder.ask(asker, node.url, catalogPath(scene.channels[0]!), {
        agent,
        headers: { prefer: `wait=${WAIT_SECONDS}` },
      })
    })
    await sleep(300)
    await probe(scene, node.url)
    holds()
    await Promise.all(waiting)
    agent.destroy()
  }
  link.heal()
  for (const done of [down, cut, apart]) done()
}

/** What needs no wait: control, pinned, and by digest. */
async function probe(scene: Scene, url: string): Promise<void> {
  const [gid] = [...scene.board.seenAt.keys()]
  const file = scene.board.recent[0]?.files[0]
  if (gid === undefined || file === undefined) return
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const paths = [
    '/livez',
    pinned(gid as Gid, catalogPath(scene.channels[0]!)),
    blobPath(file.digest as Digest),
  ]
  for (let count = 0; count < PROBES; count += 1)
    for (const path of paths) await scene.recorder.ask({ client: 'prober' }, url, path, { agent })
  agent.destroy()
}

async function publishLarge(scene: Scene, { origin }: Cluster, chance: Chance): Promise<void> {
  const fetch = scene.recorder.fetch(() => ({ client: 'large-publisher' }))
  const client = connect({ url: origin.url, token: origin.token, fetch })
  const staging = await client.openStage({ message: 'large' })
  const source = sourceOfBytes(randomBytes(LARGE_BYTES))
  await staging.upload([source])
  const [channel = ''] = scene.channels
  const version = `1.0.${chance.below(1_000_000_000)}`
  const files = [{ path: 'large', digest: source.digest, size: source.size }]
  const published = { channel, name: 'large', version, files }
  scene.board.releases.set(pathOf(published), published)
  await staging.put(channel, { name: 'large', version, files } as unknown as Manifest)
  const { generation } = await staging.commit()
  scene.board.tell(generation.gid, monotonicMs(), [published])
}

async function untilBehind(url: string): Promise<boolean> {
  for (const until = performance.now() + HEARD_WITHIN_MS; performance.now() < until; await sleep(LOOK_MS)) {
    const answer = await fetch(`${url}/livez`)
    await answer.text()
    if ((answer.headers.get('depot-node') ?? '').includes('state=lag')) return true
  }
  return false
}
