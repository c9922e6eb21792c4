/**
 * `Nodes` in LMDB: every node of a tree under its raw digest, whatever its size, as a deflate segment.
 */
import { strict as assert } from 'node:assert'
import { type Digest, digestOfRaw, rawOf } from '../model/digest.ts'
import { failure } from '../model/errors.ts'
import type { Slices } from '../model/slice.ts'
import { Deflater } from './disk/deflate.ts'
import type { Row, Table } from './disk/table.ts'
import type { Nodes, PlainNode, Segment, Stored } from './pool.ts'
import { decodeSegment, packSegment, unpackSegment } from './segment.ts'

/** So many are deflated while those before them are written. */
const GROUP = 256

export class DiskNodes implements Nodes {
  readonly #table: Table
  readonly #slices: () => Slices
  readonly #deflater = new Deflater()

  constructor(table: Table, slices: () => Slices) {
    this.#table = table
    this.#slices = slices
  }

  has(digest: Digest): boolean {
    return this.#table.has(rawOf(digest))
  }

  async read(digest: Digest): Promise<Uint8Array> {
    const segment = this.segment(digest)
    if (segment === undefined) throw failure('blob-unavailable', { digest })
    const plain = decodeSegment(segment)
    if (typeof plain === 'string') throw failure('blob-corrupt', { digest, reason: plain })
    return plain
  }

  segment(digest: Digest): Segment | undefined {
    const row = this.#table.get(rawOf(digest))
    return row === undefined ? undefined : unpackSegment(row)
  }

  /**
   * Writes those that are not here yet, and those that are here and damaged. They may take from the reserve: a commit
   * was let in when its blobs were.
   */
  async write(nodes: readonly PlainNode[]): Promise<void> {
    const absent = await this.#absent(nodes)
    let rows: readonly Row[] = []
    for (let at = 0; at < absent.length; at += GROUP) {
      const [next] = await Promise.all([
        this.#pack(absent.slice(at, at + GROUP)),
        this.#table.put(rows, 'commit'),
      ])
      rows = next
    }
    await this.#table.put(rows, 'commit')
  }

  async *list(after?: Digest): AsyncGenerator<Stored> {
    for await (const [key, row] of this.#table.rows(after && rawOf(after)))
      yield { digest: digestOfRaw(key), size: unpackSegment(row).length }
  }

  async #absent(nodes: readonly PlainNode[]): Promise<readonly PlainNode[]> {
    const slices = this.#slices()
    const absent = new Map<Digest, PlainNode>()
    for (const node of nodes) {
      if (!this.#holds(node)) absent.set(node.digest, node)
      const pause = slices.breathe()
      if (pause !== undefined) await pause
    }
    return [...absent.values()]
  }

  #holds({ digest, bytes }: PlainNode): boolean {
    const segment = this.segment(digest)
    const plain = segment === undefined ? undefined : decodeSegment(segment)
    return plain !== undefined && typeof plain !== 'string' && plain.equals(bytes)
  }

  async #pack(nodes: readonly PlainNode[]): Promise<readonly Row[]> {
    const segments = await this.#deflater.deflate(nodes.map(({ bytes }) => bytes))
    return segments.map((segment, at) => [rawOf(digestAt(nodes, at)), packSegment(segment)])
  }
}

function digestAt(nodes: readonly PlainNode[], at: number): Digest {
  const node = nodes[at]
  assert(node !== undefined)
  return node.digest
}
