/**
 * The difference of two trees, in the order of keys.
 *
 * Two cursors walk in step, and what is equal on both sides is passed without being read: a whole subtree where the
 * digests agree, a line where the bytes do. Where the keys differ, the lesser one stands on that side alone, so only
 * that side is opened. This is right for any two trees; it is quick for trees of one salt, which are cut alike.
 */
import { Cursor } from './cursor.ts'
import type { Key } from './key.ts'
import type { NodeReader } from './node.ts'
import type { Tree } from './tree.ts'

/** What stands under a key on either side; never the same on both. */
export interface Difference {
  readonly key: Key
  readonly before: Buffer | undefined
  readonly after: Buffer | undefined
}

export async function* diff(reader: NodeReader, a: Tree, b: Tree): AsyncGenerator<Difference> {
  if (a.root === b.root) return
  const before = new Cursor(reader, a)
  const after = new Cursor(reader, b)
  await before.open()
  await after.open()
  while (!before.ended || !after.ended) {
    if (before.sharesLine(after)) {
      before.advance()
      after.advance()
      continue
    }
    const lesser = lesserOf(before, after)
    if (await openHighest(lesser)) continue
    const { key } = lesser[0]
    yield { key, before: lineOf(before, lesser), after: lineOf(after, lesser) }
    for (const cursor of lesser) cursor.advance()
  }
}

type Lesser = readonly [Cursor, ...Cursor[]]

/** The cursor with the lesser key, or both when they have the same. */
function lesserOf(a: Cursor, b: Cursor): Lesser {
  if (a.ended) return [b]
  if (b.ended) return [a]
  const ours = a.key
  const theirs = b.key
  if (ours === theirs) return [a, b]
  return ours < theirs ? [a] : [b]
}

/** Opens what stands above lines: the higher of two, or both. Whether there was something to open. */
async function openHighest(cursors: Lesser): Promise<boolean> {
  const level = Math.max(...cursors.map((cursor) => cursor.level))
  if (level === 0) return false
  for (const cursor of cursors) if (cursor.level === level) await cursor.open()
  return true
}

function lineOf(cursor: Cursor, lesser: Lesser): Buffer | undefined {
  return lesser.includes(cursor) ? cursor.line : undefined
}
