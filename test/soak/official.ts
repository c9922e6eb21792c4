/**
 * C3: the SDK as a program uses it: a floor on the disk, one generation a session, files verified while they come,
 * downloads that are given up half-way and gone on with.
 */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  connect,
  FileFloor,
  type Gid,
  type ReleaseBody,
  realRandom,
  type Session,
} from '../../src/client/index.ts'
import type { Asker } from '../checker/line.ts'
import { monotonicMs } from '../checker/recorder.ts'
import type { Chance } from '../fuzz/chance.ts'
import { pause, type Scene } from './scene.ts'

const DOWNLOADS = 2
/** A catalog is read up to here: what else it has others read. */
const LINES = 500

export async function officialClient(
  scene: Scene,
  client: string,
  folder: string,
  chance: Chance,
): Promise<void> {
  const door = chance.pick(scene.doors)
  const store = new FileFloor({ folder: join(folder, 'floor'), url: door.url, random: realRandom })
  let floor: Gid | undefined
  let round = 0
  const asker = (url: URL): Asker => ({
    client,
    session: `${client}/${round}`,
    ...(url.origin === door.url ? { through: door.name } : {}),
    ...(floor === undefined ? {} : { floor }),
  })
  const depot = connect({
    url: door.url,
    fetch: scene.recorder.fetch(asker),
    floor: {
      read: async () => await store.read(),
      replace: async (before: Gid | undefined, gid: Gid) => {
        const isReplaced = await store.replace(before, gid)
        if (isReplaced) floor = gid
        return isReplaced
      },
    },
  })
  for (; !scene.over.aborted; round += 1) {
    const from = monotonicMs()
    try {
      const session = await depot.session(undefined, scene.over)
      await readSession(scene, session, join(folder, 'downloads'), chance)
    } catch (error) {
      if (!scene.over.aborted)
        scene.mishaps.push({ who: client, what: String(error), isWrite: false, from, to: monotonicMs() })
    }
    await pause(scene, chance)
  }
}

async function readSession(scene: Scene, session: Session, folder: string, chance: Chance): Promise<void> {
  const channel = chance.pick(scene.channels)
  const releases: ReleaseBody[] = []
  for await (const release of session.catalog(channel, scene.over)) {
    releases.push(release)
    if (releases.length === LINES) break
  }
  for (let count = 0; count < DOWNLOADS && releases.length > 0; count += 1) {
    const { name, version } = chance.pick(releases)
    await mkdir(folder, { recursive: true })
    const request = { channel, name, version, folder }
    if (chance.once(2))
      await givenUp(async (signal) => await session.download(request, signal), scene, chance)
    await session.download(request, scene.over)
    await rm(folder, { recursive: true })
    await pause(scene, chance)
  }
}

/** Begins, and gives up some milliseconds later: what came by then is kept for the next time. */
async function givenUp(
  begin: (signal: AbortSignal) => Promise<unknown>,
  { over }: Scene,
  chance: Chance,
): Promise<void> {
  const enough = AbortSignal.timeout(chance.below(40))
  try {
    await begin(AbortSignal.any([enough, over]))
  } catch (error) {
    if (!enough.aborted && !over.aborted) throw error
  }
}
