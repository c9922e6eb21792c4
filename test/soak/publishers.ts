/**
 * Publishers that commit all the time through a balancer, each under keys of its own: releases of a few files, now and
 * then a large one; what is old is removed, something is yanked, and sometimes everything is rolled back.
 *
 * Whose commit got no answer sends it again with its key until the outcome is known (I28).
 */
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Client,
  connect,
  type ErrorCode,
  type Generation,
  isFailure,
  type Manifest,
  type Staging,
  sourceOfBytes,
} from '../../src/client/index.ts'
import { manifestPath } from '../../src/wire/paths.ts'
import { monotonicMs } from '../checker/recorder.ts'
import type { Chance } from '../fuzz/chance.ts'
import { type Published, pause, type Scene } from './scene.ts'

/** Of each channel a publisher keeps so many of its own releases. */
const KEPT = 25
const NAMES = 6
const LARGE_BYTES = 400_000
const TRIES = 20
const AGAIN_MS = 500
/** What others did meanwhile, and nobody did wrong. */
const RACES: readonly ErrorCode[] = ['conflict', 'base-changed']

export async function publisher(scene: Scene, id: string, token: string, chance: Chance): Promise<void> {
  const door = chance.pick(scene.doors)
  const fetch = scene.recorder.fetch((url) => ({
    client: id,
    ...(url.origin === door.url ? { through: door.name } : {}),
  }))
  const client = connect({ url: door.url, token, fetch })
  const own: Published[] = []
  for (let round = 0; !scene.over.aborted; round += 1) {
    const from = monotonicMs()
    try {
      if (chance.once(12)) await rollBack(scene, client, chance)
      else await publishOne(scene, { client, id, round, own }, chance)
    } catch (error) {
      const isRace = RACES.some((code) => isFailure(error, code))
      if (!isRace && !scene.over.aborted)
        scene.mishaps.push({ who: id, what: String(error), isWrite: true, from, to: monotonicMs() })
    }
    await pause(scene, chance)
    await pause(scene, chance)
  }
}

/** One release in each channel, so that there is something to read. */
export async function beginning(scene: Scene, token: string, chance: Chance): Promise<void> {
  const [door] = scene.doors
  const fetch = scene.recorder.fetch(() => ({ client: 'first', through: door!.name }))
  const client = connect({ url: door!.url, token, fetch })
  for (const channel of scene.channels) {
    const only = { ...scene, channels: [channel] }
    await publishOne(only, { client, id: 'first', round: 0, own: [] }, chance)
  }
}

interface Publishing {
  readonly client: Client
  readonly id: string
  readonly round: number
  readonly own: Published[]
}

async function publishOne(
  scene: Scene,
  { client, id, round, own }: Publishing,
  chance: Chance,
): Promise<void> {
  const staging = await client.openStage({ message: `${id} ${round}` })
  const channels = scene.channels.filter((_, at) => at === 0 || chance.once(2))
  const releases = channels.map((channel) => release(channel, `${id}-${chance.below(NAMES)}`, round, chance))
  for (const { bytes, published, manifest } of releases) {
    await staging.upload(bytes.map((one) => sourceOfBytes(one)))
    await staging.put(published.channel, manifest)
    scene.board.releases.set(pathOf(published), published)
  }
  const old = own.length > KEPT * scene.channels.length ? own.splice(0, 2) : []
  for (const { channel, name, version } of old) await unlessGone(staging.remove(channel, name, version))
  const yanked = chance.once(5) ? own.at(-1) : undefined
  if (yanked !== undefined) {
    const { channel, name, version } = yanked
    await unlessGone(staging.mark(channel, name, version, { status: 'yanked', reason: 'of the soak' }))
  }
  const { gid } = await committed(staging, `${id}-${round}-${chance.below(1_000_000)}`)
  const published = releases.map((one) => one.published)
  own.push(...published)
  scene.board.tell(gid, monotonicMs(), published)
}

/** A rollback may have taken away what somebody wants to remove or yank. */
async function unlessGone(change: Promise<void>): Promise<void> {
  try {
    await change
  } catch (error) {
    if (!isFailure(error, 'not-found')) throw error
  }
}

/** Again with the same key, until it is known what became of it. */
async function committed(staging: Staging, idempotencyKey: string): Promise<Generation> {
  for (let attempt = 1; ; attempt += 1)
    try {
      return (await staging.commit({ idempotencyKey })).generation
    } catch (error) {
      const isRace = RACES.some((code) => isFailure(error, code))
      if (isRace || attempt === TRIES) throw error
      await sleep(AGAIN_MS)
    }
}

/** Back to a generation of a moment ago, but not to one that had not all channels yet. */
async function rollBack({ board, channels }: Scene, client: Client, chance: Chance): Promise<void> {
  const seen = [...board.seenAt.keys()].slice(1 + channels.length)
  const to = seen.at(-1 - chance.below(Math.min(6, seen.length)))
  if (to === undefined) return
  const { generation, changed } = await client.rollback(to, 'of the soak')
  if (changed) board.tell(generation.gid, monotonicMs(), [])
}

export function pathOf({ channel, name, version }: Published): string {
  return manifestPath(channel, name, version)
}

/** A version is never used again, so that no two stages want the same name. */
function release(
  channel: string,
  name: string,
  round: number,
  chance: Chance,
): { readonly bytes: readonly Buffer[]; readonly published: Published; readonly manifest: Manifest } {
  const sizes = [1 + chance.below(60), 2_000 + chance.below(6_000), ...(chance.once(8) ? [LARGE_BYTES] : [])]
  const bytes = sizes.map((size) => bytesOf(size, chance))
  const version = `1.0.${round}`
  const files = bytes.map((one, at) => ({
    path: at === 0 ? 'a.txt' : `deep/file-${at}`,
    digest: `sha256:${createHash('sha256').update(one).digest('hex')}`,
    size: one.length,
  }))
  const manifest = { name, version, files } as unknown as Manifest
  return { bytes, published: { channel, name, version, files }, manifest }
}

/** Of a chance, and quickly: its bytes one by one would be slow. */
function bytesOf(size: number, chance: Chance): Buffer {
  const pieces: Buffer[] = []
  for (let have = 0, seed = chance.bytes(16); have < size; have += 32) {
    seed = createHash('sha256').update(seed).digest()
    pieces.push(seed)
  }
  return Buffer.concat(pieces).subarray(0, size)
}
