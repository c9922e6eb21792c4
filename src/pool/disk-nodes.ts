/**
 * `Nodes` in LMDB: every node of a tree under its raw digest, whatever its size, as a deflate segment.
 */

import { strict as assert } from 'node:assert'
import type { Purpose } from '../disk/room.ts'
import { type Digest, digestOfRaw, rawOf } from '../model/digest.ts'
import type { Slices } from '../model/slice.ts'
import { Deflater } from './disk/deflate.ts'
import type { Row, Table } from './disk/table.ts'
import type { Nodes, PackedNode, PlainNode, Segment, Stored } from './pool.ts'
import { packSegment, plainNode, unpackSegment } from './segment.ts'

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
    return plainNode(digest, this.lent(digest))
  }

  lent(digest: Digest): Segment | undefined {
    const row = this.#table.lent(rawOf(digest))
    return row === undefined ? undefined : unpackSegment(row)
  }

  segment(digest: Digest): Segment | undefined {
    const row = this.#table.get(rawOf(digest))
    return row === undefined ? undefined : unpackSegment(row)
  }

  async pack(nodes: readonly PlainNode[]): Promise<readonly PackedNode[]> {
    const segments = await this.#deflater.deflate(nodes.map(({ bytes }) => bytes))
    return nodes.map(({ digest }, at) => {
      const segment = segments[at]
      assert(segment !== undefined)
      return { digest, segment }
    })
  }

  async keep(nodes: readonly PackedNode[], purpose: Purpose): Promise<void> {
    const slices = this.#slices()
    const rows: Row[] = []
    for (const { digest, segment } of nodes) {
      const key = rawOf(digest)
      const row = packSegment(segment)
      if (this.#table.lent(key)?.equals(row) !== true) rows.push([key, row])
      const pause = slices.breathe()
      if (pause !== undefined) await pause
    }
    await this.#table.put(rows, purpose)
  }

  async *list(after?: Digest): AsyncGenerator<Stored> {
    for await (const [key, row] of this.#table.rows(after && rawOf(after)))
      yield { digest: digestOfRaw(key), size: unpackSegment(row).length }
  }
}
