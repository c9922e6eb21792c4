/**
 * Clients that know nothing of the SDK: as old tools ask (C0), and as those that follow links do (C1).
 */

import type { Manifest } from '../../src/client/index.ts'
import { blobPath, catalogPath, filePath, manifestPath } from '../../src/wire/paths.ts'
import type { Asker } from '../checker/line.ts'
import type { Chance } from '../fuzz/chance.ts'
import { ask, type Door, type Entry, entriesOf, pause, readWhole, type Scene } from './scene.ts'

/** What of a session is looked at. */
const ENTRIES = 3
/** A download is broken off on purpose once in so many. */
const BROKEN_OFF = 3

/**
 * C0: no header, no pin. Catalog, then manifests, then files or objects, each wherever the balancer sends it.
 */
export async function stockClient(scene: Scene, client: string, chance: Chance): Promise<void> {
  for (let round = 0; !scene.over.aborted; round += 1) {
    const channel = chance.pick(scene.channels)
    const door = chance.pick(scene.doors)
    const asker: Asker = { client, session: `${client}/${round}`, stock: true }
    const catalog = await readWhole(scene, asker, { door: () => door, path: catalogPath(channel) })
    await pause(scene, chance)
    const entries = catalog === undefined ? [] : entriesOf(catalog, scene, chance, ENTRIES)
    for (const entry of entries) {
      const path = manifestPath(channel, entry.name, entry.version)
      const manifest = await readWhole(scene, asker, { door: () => door, path })
      await pause(scene, chance)
      if (manifest === undefined) continue
      await oneFile(scene, asker, { manifest, channel, entry, prefix: '', doors: [door] }, chance)
      await pause(scene, chance)
    }
  }
}

/**
 * C1: asks for what changes once, and then only under the pin that `Content-Location` names: one session is one
 * generation, through whichever balancer.
 */
export async function linkClient(scene: Scene, client: string, chance: Chance): Promise<void> {
  for (let round = 0; !scene.over.aborted; round += 1) {
    const asker: Asker = { client, session: `${client}/${round}` }
    const channel = chance.pick(scene.channels)
    const door = chance.pick(scene.doors)
    const entry = chance.once(2) ? '/v1/head' : catalogPath(channel)
    const { answer, line } = await ask(
      scene,
      { ...asker, through: door.name },
      { origin: door.url, path: entry },
    )
    const [, prefix] = /^(\/g\/[^/]+)\/v1\//.exec(answer?.header('content-location') ?? '') ?? []
    if (line.status === 200 && line.error === undefined && prefix !== undefined)
      await pinnedSession(scene, asker, { channel, prefix, gid: prefix.slice('/g/'.length) }, chance)
    await pause(scene, chance)
  }
}

interface Pinned {
  readonly channel: string
  readonly prefix: string
  readonly gid: string
}

async function pinnedSession(
  scene: Scene,
  asker: Asker,
  { channel, prefix, gid }: Pinned,
  chance: Chance,
): Promise<void> {
  const door = (): Door => chance.pick(scene.doors)
  const catalog = await readWhole(scene, asker, { door, path: prefix + catalogPath(channel) })
  if (catalog === undefined) return
  for (const entry of entriesOf(catalog, scene, chance, ENTRIES)) {
    const path = manifestPath(channel, entry.name, entry.version)
    scene.recorder.add({ what: 'listed', gid, paths: [path] })
    if (chance.once(3)) {
      const { name, url } = door()
      await ask(scene, { ...asker, through: name }, { origin: url, path: prefix + path }, { method: 'HEAD' })
    }
    const manifest = await readWhole(scene, asker, { door, path: prefix + path })
    await pause(scene, chance)
    if (manifest === undefined) continue
    const place = { manifest, channel, entry, prefix, doors: scene.doors, gid }
    await oneFile(scene, asker, place, chance)
    await pause(scene, chance)
  }
}

interface Place {
  readonly manifest: Buffer
  readonly channel: string
  readonly entry: Entry
  readonly prefix: string
  readonly doors: readonly Door[]
  /** Where its catalog was served as this generation. */
  readonly gid?: string
}

/** A file of a release by its name, or by its digest; now and then broken off, and gone on with elsewhere (I24). */
async function oneFile(
  scene: Scene,
  asker: Asker,
  { manifest, channel, entry, prefix, doors, gid }: Place,
  chance: Chance,
): Promise<void> {
  const { files } = JSON.parse(manifest.toString()) as Pick<Manifest, 'files'>
  const file = chance.pick(files)
  const named = filePath(channel, entry.name, entry.version, file.path)
  const path = chance.once(3) ? blobPath(file.digest) : prefix + named
  if (gid !== undefined) scene.recorder.add({ what: 'listed', gid, paths: [named] })
  const until = chance.once(BROKEN_OFF) && file.size > 1 ? { until: 1 + chance.below(file.size - 1) } : {}
  await readWhole(scene, asker, { door: () => chance.pick(doors), path, ...until })
}
