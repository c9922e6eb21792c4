/**
 * What is done to a cluster, in an order that chance chooses: first each once, then whatever comes, and sometimes two at
 * a time. Each touches nodes that nobody else touches, so that one replica at least is always left alone.
 */
import { execFile } from 'node:child_process'
import { rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Chance } from '../fuzz/chance.ts'
import type { Cluster, Replica } from './cluster.ts'
import { holdMany } from './holds.ts'
import type { Scene } from './scene.ts'

interface Stage {
  readonly cluster: Cluster
  readonly scene: Scene
  readonly chance: Chance
  readonly replica: Replica
  /** The folder of the replica that has a small disk of its own, with its id; where mounting is not permitted, none. */
  readonly small: { readonly id: string; readonly folder: string } | undefined
}

type Nemesis = (stage: Stage) => Promise<void>

export const NEMESIS_NAMES = [
  'kill a replica',
  'kill the origin',
  'stop a replica',
  'stop the origin',
  'roll the replicas',
  'slow link',
  'cut link',
  'one-way loss',
  'full disk',
  'reload the balancers',
  'many holds',
] as const
export type NemesisName = (typeof NEMESIS_NAMES)[number]

const MIB = 1_048_576
const run = promisify(execFile)

const NEMESES: Readonly<Record<NemesisName, Nemesis>> = {
  'kill a replica': async ({ replica, chance }) => await replica.node.killed(between(chance, 0, 2_000)),
  'kill the origin': async ({ cluster, chance }) => await cluster.origin.killed(between(chance, 0, 8_000)),
  'stop a replica': async ({ replica, chance }) => await replica.node.stopped(between(chance, 100, 10_000)),
  'stop the origin': async ({ cluster, chance }) =>
    await cluster.origin.stopped(between(chance, 100, 10_000)),
  'roll the replicas': async ({ cluster }) => {
    for (const { node } of cluster.replicas) {
      const { code, log } = await node.rolled()
      if (code !== 0) node.deaths.push(`${node.id} ended a roll with ${code}: ${log.slice(-500)}`)
    }
  },
  'slow link': async ({ cluster, replica, chance }) => {
    const slow = cluster.facts.begin('delay', replica.node.id)
    const bytesPerSecond = chance.once(2) ? between(chance, 20_000, 500_000) : Number.POSITIVE_INFINITY
    replica.link.set({ delayMs: between(chance, 5, 400), bytesPerSecond })
    await sleep(between(chance, 1_000, 8_000))
    replica.link.heal()
    slow()
  },
  'cut link': async ({ cluster, replica, chance }) => {
    const { id } = replica.node
    const done = [cluster.facts.begin('link', id), cluster.facts.apart(id)]
    replica.link.cut()
    await sleep(between(chance, 200, 9_000))
    replica.link.heal()
    for (const one of done) one()
  },
  'one-way loss': async ({ cluster, replica, chance }) => {
    const { id } = replica.node
    const done = [cluster.facts.begin('delay', id), cluster.facts.apart(id)]
    replica.link.silence(chance.pick(['up', 'down']))
    await sleep(between(chance, 200, 9_000))
    replica.link.heal()
    for (const one of done) one()
  },
  'full disk': async ({ cluster, small, chance }) => {
    if (small === undefined) return
    const full = cluster.facts.begin('full', small.id)
    const ballast = join(small.folder, 'ballast')
    const { bavail, bsize } = await statfs(small.folder)
    // Less than a node keeps free for what must go on.
    await run('fallocate', ['-l', String(Math.max(MIB, bavail * bsize - 16 * MIB)), ballast])
    await sleep(between(chance, 2_000, 8_000))
    await rm(ballast)
    full()
  },
  'reload the balancers': async ({ cluster, chance }) => {
    for (const { name, balancer } of cluster.fronts) {
      const reload = cluster.facts.begin('reload', name)
      balancer.reload()
      await sleep(between(chance, 300, 2_000))
      reload()
    }
  },
  'many holds': async ({ cluster, scene, replica, chance }) =>
    await holdMany(cluster, scene, replica, chance),
}

interface Storm {
  readonly names: readonly NemesisName[]
  readonly small: Stage['small']
  readonly calmMs: number
}

/** Goes on until it is over; how often each was done. */
export async function storm(
  cluster: Cluster,
  scene: Scene,
  { names, small, calmMs }: Storm,
  chance: Chance,
): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {}
  const turns = new Turns()
  const waiting = shuffled(names, chance)
  const next = (): NemesisName => waiting.pop() ?? chance.pick(names)
  const one = async (): Promise<void> => {
    const name = next()
    const replica =
      name === 'full disk' ? (ofSmall(cluster, small) ?? cluster.replicas[0]!) : chance.pick(cluster.replicas)
    // Its own, so that the order in which things end changes nothing of what comes.
    const own = new Chance(chance.below(2 ** 32))
    await turns.take(touchedBy(name, cluster, replica), async () => {
      if (scene.over.aborted) return
      counts[name] = (counts[name] ?? 0) + 1
      await NEMESES[name]({ cluster, scene, chance: own, replica, small })
    })
  }
  while (!scene.over.aborted) {
    await Promise.all(chance.once(3) ? [one(), one()] : [one()])
    await sleep(between(chance, calmMs / 2, calmMs), undefined, { signal: scene.over }).catch(() => undefined)
  }
  return counts
}

function ofSmall(cluster: Cluster, small: Stage['small']): Replica | undefined {
  return cluster.replicas.find(({ node }) => node.id === small?.id)
}

function touchedBy(name: NemesisName, cluster: Cluster, replica: Replica): readonly string[] {
  switch (name) {
    case 'kill the origin':
    case 'stop the origin':
      return ['origin']
    case 'roll the replicas':
      return cluster.replicas.map(({ node }) => node.id)
    case 'reload the balancers':
      return ['balancers']
    case 'many holds':
      return ['origin', ...cluster.replicas.map(({ node }) => node.id)]
    case 'kill a replica':
    case 'stop a replica':
    case 'slow link':
    case 'cut link':
    case 'one-way loss':
    case 'full disk':
      return [replica.node.id]
  }
}

/** Who wants a node that somebody has waits for its turn. */
class Turns {
  readonly #ends = new Map<string, Promise<void>>()

  async take(nodes: readonly string[], work: () => Promise<void>): Promise<void> {
    const before = nodes.flatMap((node) => this.#ends.get(node) ?? [])
    const mine = Promise.allSettled(before).then(work)
    for (const node of nodes) this.#ends.set(node, mine)
    await mine
  }
}

function shuffled<Item>(items: readonly Item[], chance: Chance): Item[] {
  return items
    .map((item) => ({ item, place: chance.next() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item)
}

function between(chance: Chance, least: number, most: number): number {
  return Math.round(least + chance.next() * (most - least))
}
