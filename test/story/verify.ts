/**
 * Reading a whole depot as its clients would, and holding every byte against its digest.
 */
import { createHash } from 'node:crypto'
import { type Client, type DiffLine, type Generation, type ReleaseBody } from '../../src/client/index.ts'

export interface Verified {
  readonly generations: readonly Generation[]
  /** What each generation changed against the one before it, by gid. */
  readonly changes: ReadonlyMap<string, readonly DiffLine[]>
}

/** What was found right before and need not be read again. */
export interface Known {
  readonly gids: Set<string>
  readonly manifests: Set<string>
}

/** Every generation of the log, newest first: catalogs, manifests and files are all there and right, or it fails. */
export async function verifyDepot(client: Client, known: Known): Promise<Verified> {
  const generations: Generation[] = []
  for await (const generation of client.generations()) generations.push(generation)
  for (const [at, { record }] of generations.entries()) {
    const parent = generations[at + 1]
    if (record.parent !== (parent?.gid ?? null))
      throw new Error(`${record.number} has not the parent before it`)
    if (record.number !== generations.length - 1 - at)
      throw new Error(`number ${record.number} is out of order`)
  }
  const changes = new Map<string, readonly DiffLine[]>()
  for (const [at, generation] of generations.entries()) {
    const { gid, record } = generation
    if (known.gids.has(gid)) continue
    await verifyGeneration(client, gid, known)
    if (record.parent !== null) changes.set(gid, await collect(client.diff(generations[at + 1]!.gid, gid)))
    known.gids.add(gid)
  }
  return { generations, changes }
}

async function verifyGeneration(client: Client, gid: string, known: Known): Promise<void> {
  const session = await client.session(gid)
  if (session.generation.gid !== gid) throw new Error(`${session.generation.gid} for ${gid}`)
  for await (const channel of session.channels()) {
    const releases = await collect(session.catalog(channel.name))
    if (releases.length !== channel.releases)
      throw new Error(`${gid} ${channel.name} offers ${releases.length} of ${channel.releases} releases`)
    for (const release of releases) {
      if (known.manifests.has(release.manifest)) continue
      await verifyRelease(session, channel.name, release)
      known.manifests.add(release.manifest)
    }
  }
}

async function verifyRelease(
  session: Awaited<ReturnType<Client['session']>>,
  channel: string,
  { name, version, manifest: named }: ReleaseBody,
): Promise<void> {
  // The session holds it against the catalog.
  const manifest = await session.manifest(channel, name, version)
  for (const { path, digest, size } of manifest.files) {
    const hash = createHash('sha256')
    let bytes = 0
    for await (const piece of session.file(channel, name, version, path)) {
      hash.update(piece)
      bytes += piece.length
    }
    if (`sha256:${hash.digest('hex')}` !== digest || bytes !== size)
      throw new Error(`${path} of ${name} ${version} (${named}) is not what its manifest says`)
  }
}

export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = []
  for await (const item of items) found.push(item)
  return found
}
