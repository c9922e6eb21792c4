/**
 * A catalog out of stored segments: the same bytes in both forms whatever the sizes of leaves, and nothing that does
 * not agree with its tree.
 */
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { type CatalogSources, gzippedCatalog, plainCatalog } from '../../src/depot/read/catalog.ts'
import type { Key } from '../../src/metaset/key.ts'
import type { Tree } from '../../src/metaset/tree.ts'
import type { Digest } from '../../src/model/digest.ts'
import type { Segment } from '../../src/pool/pool.ts'
import { encodeSegment } from '../../src/pool/segment.ts'
import { entry, Forest, NEVER, sorted } from '../metaset/memory-nodes.ts'

type Stored = Map<Digest, Segment>

/** So many lines, each with a value of so many bytes that hardly compress. */
function lines(count: number, bytes: number): Map<Key, Buffer> {
  let seed = 1
  const random = (): string => {
    seed = Math.imul(seed, 1_103_515_245) + 12_345
    return String.fromCharCode(97 + ((seed >>> 16) % 26))
  }
  return new Map(
    Array.from({ length: count }, (_, at) =>
      entry(`package-${at}`, '1.0.0', Array.from({ length: bytes }, random).join('')),
    ),
  )
}

interface Planted {
  readonly tree: Tree
  readonly stored: Stored
  readonly sources: CatalogSources
  readonly plain: Buffer
}

async function plant(model: Map<Key, Buffer>): Promise<Planted> {
  const forest = new Forest()
  const tree = await forest.plant(model)
  const stored: Stored = new Map()
  for (const [digest, bytes] of forest.nodes.bytes) stored.set(digest, encodeSegment(bytes))
  const nodes = {
    segment: (digest: Digest) => stored.get(digest),
    lent: (digest: Digest) => lent(stored.get(digest)),
  }
  const plain = Buffer.concat(sorted(model).map(({ line }) => line ?? Buffer.alloc(0)))
  return { tree, stored, sources: { reader: forest.nodes, nodes, slices: NEVER }, plain }
}

/** A segment whose bytes are good until somebody else has his turn. */
function lent(segment: Segment | undefined): Segment | undefined {
  if (segment === undefined) return undefined
  const deflated = Buffer.from(segment.deflated)
  queueMicrotask(() => deflated.fill(0xff))
  return { ...segment, deflated }
}

/** Each piece is taken before the next one is asked for, as its giver may use it again. */
async function gathered(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const taken: Buffer[] = []
  for await (const piece of pieces) taken.push(Buffer.from(piece))
  return Buffer.concat(taken)
}

describe.each([
  ['nothing', 0, 0],
  ['one line', 1, 10],
  ['many short lines', 30_000, 40],
  ['long lines', 400, 20_000],
  ['lines that are longer than a piece', 5, 700_000],
])('a catalog of %s', (_, count, bytes) => {
  it('has the same bytes in both forms', async () => {
    const { sources, tree, plain } = await plant(lines(count, bytes))
    expect((await gathered(plainCatalog(sources, tree))).equals(plain)).toBe(true)
    expect(gunzipSync(await gathered(gzippedCatalog(sources, tree))).equals(plain)).toBe(true)
  })
})

describe('a leaf that is not as its tree has it', () => {
  const damages: readonly [string, (sound: Segment) => Segment | undefined, string][] = [
    ['is gone', () => undefined, 'blob-unavailable'],
    ['has another length', (sound) => ({ ...sound, length: sound.length + 1 }), 'blob-corrupt'],
    ['has another checksum', (sound) => ({ ...sound, crc32: sound.crc32 ^ 1 }), 'blob-corrupt'],
  ]
  const insides: readonly [string, (sound: Segment) => Segment][] = [
    ['does not inflate', (sound) => ({ ...sound, deflated: Buffer.alloc(sound.deflated.length, 0xff) })],
    ['is cut off', (sound) => ({ ...sound, deflated: sound.deflated.subarray(0, 100) })],
    ['has more', (sound) => ({ ...sound, deflated: Buffer.concat([sound.deflated, sound.deflated]) })],
    ['has other bytes', (sound) => ({ ...sound, deflated: encodeSegment(other(sound.length)).deflated })],
  ]

  async function damaged(damage: (sound: Segment) => Segment | undefined): Promise<Planted> {
    const planted = await plant(lines(5_000, 100))
    const leaf = [...planted.stored].find(([digest]) => planted.sources.reader.node(digest, 1) !== undefined)
    const [digest, sound] = leaf ?? expect.unreachable()
    const segment = damage(sound)
    if (segment === undefined) planted.stored.delete(digest)
    else planted.stored.set(digest, segment)
    return planted
  }

  it.each(damages)('and %s ends both forms', async (_, damage, code) => {
    const { sources, tree } = await damaged(damage)
    await expect(gathered(plainCatalog(sources, tree))).rejects.toMatchObject({ code })
    await expect(gathered(gzippedCatalog(sources, tree))).rejects.toMatchObject({ code })
  })

  it.each(insides)('and %s ends the plain form', async (_, damage) => {
    const { sources, tree } = await damaged(damage)
    await expect(gathered(plainCatalog(sources, tree))).rejects.toMatchObject({ code: 'blob-corrupt' })
  })
})

function other(length: number): Buffer {
  return Buffer.alloc(length, 'x')
}
