/**
 * Reading a tree: one release, releases in the order of keys, or its leaves.
 *
 * The catalog needs no release to be read at all: it is the leaves one after the other, and `leaves` names them from
 * the inner nodes alone.
 */
import { after, type Soon } from '../model/soon.ts'
import { Cursor } from './cursor.ts'
import { type Key, type KeyRange, keysOfName } from './key.ts'
import { type NodeReader, rootOf, type TreeNode } from './node.ts'
import type { Tree } from './tree.ts'

export interface Entry {
  readonly key: Key
  readonly line: Buffer
}

/** The line of a key, as the leaf has it; at once when every node on the path is at hand. */
export function lookup(reader: NodeReader, tree: Tree, key: Key): Soon<Buffer | undefined> {
  return after(rootOf(reader, tree), (root) => lookupBelow(reader, root, key))
}

function lookupBelow(reader: NodeReader, node: TreeNode, key: Key): Soon<Buffer | undefined> {
  const at = node.seek(key)
  const isHere = at < node.length && node.key(at) === key
  if (node.level === 1) return isHere ? node.line(at) : undefined
  const holds = isHere ? at : at - 1
  if (holds < 0) return undefined
  return after(rootOf(reader, node.child(holds)), (child) => lookupBelow(reader, child, key))
}

/** The entries of a range, or all of them, in the order of keys. */
export async function* entries(reader: NodeReader, tree: Tree, range: KeyRange = {}): AsyncGenerator<Entry> {
  const { from, until } = range
  const cursor = new Cursor(reader, tree)
  if (from === undefined) await cursor.descend(0)
  else await seek(cursor, from)
  while (!cursor.ended) {
    const { key, line } = cursor
    if (until !== undefined && key >= until) return
    yield { key, line }
    cursor.advance()
    if (cursor.level > 0) await cursor.descend(0)
  }
}

/** All versions of a name, in the order of keys, which is not the order of versions. */
export function entriesOfName(reader: NodeReader, tree: Tree, name: string): AsyncGenerator<Entry> {
  return entries(reader, tree, keysOfName(name))
}

/** The leaves in order; none of an empty tree. No leaf is read. */
export async function* leaves(reader: NodeReader, tree: Tree): AsyncGenerator<Tree> {
  for await (const run of runsOfLeaves(reader, tree)) yield* run
}

/** The same, as many at once as one inner node names: a whole catalog is a step for each of these. */
export async function* runsOfLeaves(reader: NodeReader, tree: Tree): AsyncGenerator<readonly Tree[]> {
  if (tree.count === 0) return
  if (tree.level === 1) {
    yield [tree]
    return
  }
  const cursor = new Cursor(reader, tree)
  await cursor.descend(2)
  while (!cursor.ended) {
    const node = await rootOf(reader, cursor.tree)
    yield Array.from({ length: node.length }, (_, at) => node.child(at))
    cursor.advance()
    await cursor.descend(2)
  }
}

/** Moves to the line of the first key that is not less than `from`. */
async function seek(cursor: Cursor, from: Key): Promise<void> {
  await cursor.find(from, 0)
  if (cursor.ended || cursor.key >= from) return
  cursor.advance()
  await cursor.descend(0)
}
