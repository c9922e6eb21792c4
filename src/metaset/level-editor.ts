/**
 * Edits one level of a tree, in regions: an edit makes its whole run anew, and where it removes the key that starts
 * a run, the run before it too, for the two become one. Everything between two regions stays and is not read.
 *
 * Lines inside of a run never start one, wherever the edits leave them; so what stays is copied without a look. Only
 * the very first line of a level may become the inside of something when lines are put before it.
 */
import { Cursor } from './cursor.ts'
import type { Key } from './key.ts'
import { LevelWriter, type OnlyChild, type Writing } from './level-writer.ts'
import { type NodeReader, rootOf, type TreeNode } from './node.ts'
import type { Edit, Source } from './source.ts'

/** Told of every edit in order, with the line that stood there; also of one that changes nothing. */
export type OnEdit = (key: Key, before: Buffer | undefined, after: Buffer | undefined) => void

export class LevelEditor {
  readonly #reader: NodeReader
  readonly #writing: Writing
  readonly #level: number
  readonly #writer: LevelWriter
  readonly #cursor: Cursor
  readonly #onEdit: OnEdit | undefined
  #changed = false
  #only: OnlyChild | undefined
  /** Whether an edit of this region changes anything. */
  #dirty = false
  /** Where the region before this one ended. */
  #resume: Key | undefined
  /** Whether old nodes stay before this region. */
  #preceded = false

  constructor(reader: NodeReader, writing: Writing, level: number, onEdit?: OnEdit) {
    this.#reader = reader
    this.#writing = writing
    this.#level = level
    this.#onEdit = onEdit
    this.#writer = new LevelWriter(writing, level)
    this.#cursor = new Cursor(reader, writing.tree)
  }

  /** Whether the level is not what it was. */
  get changed(): boolean {
    return this.#changed
  }

  /** What the level above has to change; for the highest level of the old tree, all nodes that there are now. */
  get changes(): readonly Edit[] {
    return this.#writer.changes
  }

  /** The child of this level's only line, when no more is left of an inner level. No node is made for it. */
  get only(): OnlyChild | undefined {
    return this.#only
  }

  async rewrite(edits: Source): Promise<void> {
    while (edits.head !== undefined) {
      await this.#begin(edits.head)
      do await this.#rewriteNode(edits)
      while (await this.#continues(edits.head))
      await this.#end()
    }
  }

  /** Goes to the start of the region that the edit is in. */
  async #begin(edit: Edit): Promise<void> {
    const cursor = this.#cursor
    await cursor.find(edit.key, this.#level)
    let joins = removes(edit, cursor.key)
    while (!cursor.first && (joins || !this.#writer.starts(cursor.key))) {
      await cursor.back(this.#level)
      joins = false
    }
    if (this.#resume === undefined ? !cursor.first : cursor.key !== this.#resume) this.#preceded = true
    this.#dirty = false
  }

  /** Copies a node and applies the edits that fall into it. */
  async #rewriteNode(edits: Source): Promise<void> {
    const cursor = this.#cursor
    const { tree, keyBehind } = cursor
    const node = await rootOf(this.#reader, tree)
    if (this.#level < this.#writing.tree.level) this.#writer.replace(node.key(0), tree.root)
    let copied = 0
    for (let edit = edits.head; edit !== undefined && isBefore(edit, keyBehind); edit = edits.head) {
      copied = await this.#apply(edit, node, copied)
      const coming = edits.advance()
      if (coming !== undefined) await coming
    }
    await this.#writer.copy(node, copied, node.length)
    cursor.advance()
    await this.#writing.slices.breathe()
  }

  /** Applies an edit to a node of which the first lines are copied, and tells how many are then. */
  async #apply({ key, line }: Edit, node: TreeNode, copied: number): Promise<number> {
    const at = node.seek(key, copied)
    const found = at < node.length && node.key(at) === key
    this.#onEdit?.(key, found ? node.line(at) : undefined, line)
    const same = line === undefined ? !found : found && node.hasLine(at, line)
    if (same) return copied
    this.#dirty = true
    await this.#writer.copy(node, copied, at)
    if (line !== undefined) await this.#writer.add(key, line)
    return found ? at + 1 : at
  }

  /** Whether the region goes on with the next node: one of the same run, or of a run whose start is removed. */
  async #continues(next: Edit | undefined): Promise<boolean> {
    const cursor = this.#cursor
    if (cursor.ended) return false
    const joins = next !== undefined && removes(next, cursor.key)
    if (!joins && this.#writer.starts(cursor.key)) return false
    await cursor.descend(this.#level)
    return true
  }

  async #end(): Promise<void> {
    const cursor = this.#cursor
    const writer = this.#writer
    this.#resume = cursor.ended ? undefined : cursor.key
    if (!this.#dirty) {
      writer.discard()
      this.#preceded = true
      return
    }
    this.#changed = true
    const alone = !this.#preceded && cursor.ended && writer.nodes === 0
    if (alone && this.#level > 1 && writer.length === 1) this.#only = writer.only
    else await writer.finish()
  }
}

function removes(edit: Edit, key: Key): boolean {
  return edit.line === undefined && edit.key === key
}

function isBefore(edit: Edit, key: Key | undefined): boolean {
  return key === undefined || edit.key < key
}
