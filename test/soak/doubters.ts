/**
 * Clients that ask what is easily answered wrong: floors of a commit just made, conditions, ranges, HEAD beside GET,
 * names that are nowhere, and generations that nobody was ever given.
 */

import type { Gid } from '../../src/client/index.ts'
import { catalogPath, manifestPath, pinned } from '../../src/wire/paths.ts'
import type { Asker } from '../checker/line.ts'
import type { RecordedAsk } from '../checker/recorder.ts'
import type { Chance } from '../fuzz/chance.ts'
import { ask, numberOf, pause, type Scene } from './scene.ts'

interface Doubt {
  readonly scene: Scene
  readonly chance: Chance
  readonly channel: string
  /** Sends it through the balancer of this round, and moves the floor. */
  readonly get: (path: string, wish?: RecordedAsk) => Promise<Answered>
  readonly floor: () => string | undefined
}

interface Answered {
  readonly status: number
  readonly gid: string | undefined
  readonly etag: string | undefined
}

/** Through a balancer, or straight to a replica. */
export async function doubter(
  scene: Scene,
  client: string,
  chance: Chance,
  isDirect: boolean,
): Promise<void> {
  let floor: string | undefined
  while (!scene.over.aborted) {
    const door = isDirect ? undefined : chance.pick(scene.doors)
    const origin = door?.url ?? chance.pick(scene.replicas)
    const asker: Asker = { client, ...(door === undefined ? {} : { through: door.name }) }
    const get = async (path: string, wish: RecordedAsk = {}): Promise<Answered> => {
      const knows = floor === undefined ? asker : { ...asker, floor }
      const { line } = await ask(scene, knows, { origin, path }, wish)
      const gid = line.generations?.[0]
      // Who sends a floor takes what he is given for his next one.
      if (line.min !== undefined && line.status === 200 && numberOf(gid) > numberOf(floor)) floor = gid
      return { status: line.status ?? 0, gid, etag: line.etag }
    }
    const doubt: Doubt = { scene, chance, channel: chance.pick(scene.channels), get, floor: () => floor }
    await chance.pick(DOUBTS)(doubt)
    await pause(scene, chance)
  }
}

/** Read your writes: the catalog must have what a publisher was told is active. */
async function floors({ scene, chance, channel, get, floor }: Doubt): Promise<void> {
  const { latest } = scene.board
  const newer = numberOf(latest) > numberOf(floor()) ? latest : floor()
  if (newer === undefined) return
  const min = { 'depot-min-generation': newer }
  const prefer = chance.once(2) ? { prefer: `wait=${chance.below(4)}` } : {}
  await get(catalogPath(channel), { headers: { ...min, ...prefer } })
  const one = scene.board.recent.at(-1)
  if (one !== undefined) await get(manifestPath(one.channel, one.name, one.version), { headers: { ...min } })
}

/** The head, confirmed at this moment. */
async function confirmed({ get, channel, chance }: Doubt): Promise<void> {
  const path = chance.once(2) ? '/v1/head' : catalogPath(channel)
  await get(path, { headers: { 'depot-min-generation': 'head' } })
}

async function conditions({ get, channel, chance }: Doubt): Promise<void> {
  const path = catalogPath(channel)
  const { etag, status } = await get(path)
  if (status !== 200 || etag === undefined) return
  for (let again = 0; again < 3; again += 1) await get(path, { headers: { 'if-none-match': etag } })
  const gzip = { 'accept-encoding': 'gzip' }
  if (chance.once(2)) await get(path, { headers: { ...gzip, 'if-none-match': etag } })
}

/** A range of what changes with the head is no range; of what does not, it is one, if the rest is the same. */
async function ranges({ scene, get, channel, chance }: Doubt): Promise<void> {
  await get(catalogPath(channel), { headers: { range: 'bytes=0-9' } })
  const one = scene.board.recent.at(chance.below(RECENT_ONES) - RECENT_ONES)
  if (one === undefined) return
  const path = manifestPath(one.channel, one.name, one.version)
  await get(path, { headers: { range: 'bytes=5-', 'if-range': '"something-else"' } })
  await get(path, { headers: { range: 'bytes=5-' } })
}

const RECENT_ONES = 10

async function heads({ get, channel, scene, chance }: Doubt): Promise<void> {
  const { gid } = await get('/v1/head', { method: 'HEAD' })
  if (numberOf(gid) < 0) return
  const paths = [catalogPath(channel), '/v1/head', '/v1/channels', `/v1/channels/${channel}`]
  const one = scene.board.recent.at(chance.below(RECENT_ONES) - RECENT_ONES)
  if (one !== undefined) paths.push(manifestPath(one.channel, one.name, one.version))
  const path = pinned(gid as Gid, chance.pick(paths))
  await get(path, { method: 'HEAD' })
  await get(path)
  const unpinned = chance.pick(paths)
  await get(unpinned, { method: 'HEAD' })
  await get(unpinned)
}

/** Nowhere: the only honest 404, and none of a cache to keep unless it is of one generation. */
async function nowhere({ scene, get, channel, chance }: Doubt): Promise<void> {
  const { latest } = scene.board
  const name = `nothing-${chance.below(1_000_000)}`
  await get(manifestPath(channel, name, '1.0.0'))
  await get(`/o/sha256/${chance.bytes(32).toString('hex')}`)
  if (latest === undefined) return
  await get(pinned(latest as Gid, manifestPath(channel, name, '1.0.0')))
  const never = `g${numberOf(latest) + 1_000_000}.${latest.split('.')[1]}.${chance.bytes(8).toString('hex')}`
  await get(pinned(never as Gid, catalogPath(channel)))
  await get(catalogPath(channel), { headers: { 'depot-min-generation': never } })
}

/** What changed since a generation that somebody saw a while ago; and an old pin. */
async function since({ scene, get, channel, chance }: Doubt): Promise<void> {
  const seen = [...scene.board.seenAt.keys()]
  const old = seen.at(-1 - chance.below(Math.min(40, seen.length)))
  if (old === undefined) return
  await get(`${catalogPath(channel)}?since=${old}`)
  await get(pinned(old as Gid, catalogPath(channel)))
  await get(catalogPath(channel), { headers: { 'depot-exact-generation': old } })
}

/** What supervisors ask, beside everything else. */
async function control({ get, chance }: Doubt): Promise<void> {
  await get(chance.pick(['/livez', '/readyz', '/servez']))
}

const DOUBTS: readonly ((doubt: Doubt) => Promise<void>)[] = [
  floors,
  floors,
  confirmed,
  conditions,
  ranges,
  heads,
  nowhere,
  since,
  control,
]
