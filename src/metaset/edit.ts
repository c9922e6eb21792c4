/**
 * Editing a tree: sorted edits make a new tree, which shares all nodes with the old one that no edit touched.
 *
 * The levels are rewritten one after the other, leaves first. In each, only the runs that hold an edited key are
 * read, and what changes in them (nodes that are new, nodes that are gone) is the sorted list of edits of the level
 * above. The tree grows while the top level has more than one node, and shrinks to the lowest level that has one.
 */

import type { Slices } from '../model/slice.ts'
import { keyHasher, type Salt, SHAPE, type Shape } from './boundary.ts'
import { LevelEditor, type OnEdit } from './level-editor.ts'
import { LevelWriter, type NodeSink, type OnlyChild, type Writing } from './level-writer.ts'
import { type NodeReader, rootOf, TreeNode } from './node.ts'
import { type Edit, type Edits, Source } from './source.ts'
import { EMPTY_TREE, type Tree } from './tree.ts'

export interface Editing {
  readonly salt: Salt
  readonly sink: NodeSink
  readonly slices: Slices
  readonly onEdit?: OnEdit
  /** Only tests have trees of another shape. */
  readonly shape?: Shape
}

/**
 * Applies edits, sorted by key and one for each key, and returns the new tree, whose new nodes the sink has got by
 * then. Edits that change nothing add no node. Fails with what `onEdit` throws.
 */
export async function edit(reader: NodeReader, tree: Tree, edits: Edits, editing: Editing): Promise<Tree> {
  const { salt, sink, slices, onEdit, shape = SHAPE } = editing
  const writing: Writing = { hashOf: keyHasher(salt), shape, sink, slices, tree }
  let editor = new LevelEditor(reader, writing, 1, onEdit)
  const source = await Source.of(edits, slices)
  try {
    await editor.rewrite(source)
  } finally {
    await source[Symbol.asyncDispose]()
  }
  for (let level = 2; level <= tree.level && editor.changed; level += 1) {
    const changes = await Source.of(editor.changes, slices)
    editor = new LevelEditor(reader, writing, level)
    await editor.rewrite(changes)
    if (editor.only !== undefined) return await lowest(reader, editor.only)
  }
  return editor.changed ? await grow(writing, editor.changes) : tree
}

/** The lowest single node, from the only child of a level. A new one is that already, and no reader may have it. */
async function lowest(reader: NodeReader, { tree, fresh }: OnlyChild): Promise<Tree> {
  if (fresh || tree.level === 1) return tree
  const node = await rootOf(reader, tree)
  return node.length > 1 ? tree : await lowest(reader, { tree: node.child(0), fresh })
}

/** Builds levels upon all nodes of the highest one there is, until there is a single node. */
async function grow(writing: Writing, nodes: readonly Edit[]): Promise<Tree> {
  let below = nodes.filter(({ line }) => line !== undefined)
  let level = writing.tree.level + 1
  for (; below.length > 1; level += 1) {
    const writer = new LevelWriter(writing, level)
    const source = await Source.of(below, writing.slices)
    for (let next = source.head; next !== undefined; next = source.head) {
      if (next.line !== undefined) await writer.add(next.key, next.line)
      await source.advance()
    }
    await writer.finish()
    below = writer.changes
  }
  const root = below[0]?.line
  return root === undefined ? EMPTY_TREE : new TreeNode(root, level).child(0)
}
