/**
 * Nodes in memory, for tests: a sink and a reader in one that counts what is written and read.
 */

import { parseSalt, type Salt, type Shape } from '../../src/metaset/boundary.ts'
import { type Editing, edit } from '../../src/metaset/edit.ts'
import { type Key, keyOf } from '../../src/metaset/key.ts'
import type { NodeSink } from '../../src/metaset/level-writer.ts'
import { type NodeReader, TreeNode } from '../../src/metaset/node.ts'
import { entries } from '../../src/metaset/read.ts'
import type { Edit, Edits } from '../../src/metaset/source.ts'
import { EMPTY_TREE, type Tree } from '../../src/metaset/tree.ts'
import { canonicalBytes } from '../../src/model/canonical.ts'
import { type Digest, digestOf } from '../../src/model/digest.ts'
import type { Slices } from '../../src/model/slice.ts'

export const SALT: Salt = parseSalt('00112233445566778899aabbccddeeff')

export const NEVER: Slices = { breathe: () => undefined }

export class MemoryNodes implements NodeReader, NodeSink {
  readonly bytes: Map<Digest, Buffer> = new Map<Digest, Buffer>()
  /** What was added since the last `settle`, in order. It cannot be read before that. */
  added: Digest[] = []
  reads = 0
  #settled = 0

  node(digest: Digest, level: number): TreeNode {
    this.reads += 1
    const bytes = this.bytes.get(digest)
    if (bytes === undefined || this.added.includes(digest, this.#settled))
      throw new Error(`${digest} is not here yet`)
    return new TreeNode(bytes, level)
  }

  add(digest: Digest, bytes: Buffer): undefined {
    if (digestOf(bytes) !== digest) throw new Error(`${digest} is not the digest of its bytes`)
    this.bytes.set(digest, bytes)
    this.added.push(digest)
  }

  /** Makes what was added readable. */
  settle(): void {
    this.#settled = this.added.length
  }

  reset(): void {
    this.added = []
    this.reads = 0
    this.#settled = 0
  }
}

/** A depot's worth of nodes, and the trees in it. */
export class Forest {
  readonly nodes: MemoryNodes = new MemoryNodes()
  readonly salt: Salt
  readonly shape: Shape | undefined

  constructor(shape?: Shape, salt: Salt = SALT) {
    this.shape = shape
    this.salt = salt
  }

  async edit(tree: Tree, edits: Edits, more: Partial<Editing> = {}): Promise<Tree> {
    const { salt, shape, nodes } = this
    nodes.reset()
    const edited = await edit(nodes, tree, edits, {
      salt,
      sink: nodes,
      slices: NEVER,
      ...(shape === undefined ? {} : { shape }),
      ...more,
    })
    nodes.settle()
    return edited
  }

  /** The tree of these lines. */
  async plant(lines: ReadonlyMap<Key, Buffer>): Promise<Tree> {
    return await this.edit(EMPTY_TREE, sorted(lines))
  }

  /** All lines of a tree. */
  async lines(tree: Tree): Promise<Map<Key, Buffer>> {
    const lines = new Map<Key, Buffer>()
    for await (const { key, line } of entries(this.nodes, tree)) lines.set(key, line)
    return lines
  }
}

/** Edits in the order of keys. */
export function sorted(lines: Iterable<readonly [Key, Buffer | undefined]>): Edit[] {
  return [...new Map(lines)].map(([key, line]) => ({ key, line })).sort((a, b) => (a.key < b.key ? -1 : 1))
}

/** A line with some value in it. */
export function entry(name: string, version: string, value: string | number = ''): readonly [Key, Buffer] {
  return [keyOf(name, version), Buffer.concat([canonicalBytes({ name, value, version }), Buffer.from('\n')])]
}

/** So many lines, in the order of keys. */
export function numbered(count: number): (readonly [Key, Buffer])[] {
  const width = String(count - 1).length
  return Array.from({ length: count }, (_, at) =>
    entry(`package-${String(at).padStart(Math.max(4, width), '0')}`, '1.0.0', at),
  )
}

/** The digests of all nodes of a tree. */
export async function nodesOf(reader: NodeReader, tree: Tree): Promise<Set<Digest>> {
  const found = new Set<Digest>()
  if (tree.count === 0) return found
  found.add(tree.root)
  const node = await reader.node(tree.root, tree.level)
  for (let at = 0; tree.level > 1 && at < node.length; at += 1)
    for (const digest of await nodesOf(reader, node.child(at))) found.add(digest)
  return found
}

/** Everything that a generator gives. */
export async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = []
  for await (const item of items) found.push(item)
  return found
}

/** How many turns of the event loop there were while the work went on. */
export async function turnsDuring(work: () => Promise<void>): Promise<number> {
  let turns = 0
  let ended = false
  const count = (): void => {
    turns += 1
    if (!ended) setImmediate(count)
  }
  setImmediate(count)
  await work()
  ended = true
  return turns
}
