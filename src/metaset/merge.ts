/**
 * Merging: what two sides have made of one base, and where they disagree (DESIGN §3, "Many publishers").
 *
 * A key that both sides changed to the same is no conflict. Nothing is read of what neither side changed.
 */
import { setImmediate } from 'node:timers/promises'
import { Cursor } from './cursor.ts'
import { type Difference, diff } from './diff.ts'
import type { Key } from './key.ts'
import type { NodeReader } from './node.ts'
import type { Edit, Edits } from './source.ts'
import type { Tree } from './tree.ts'

/** Edits looked at between two turns of the event loop; where nothing differs, they are all there is to do. */
const EDITS_A_TURN = 512

/** A key that both sides changed, to different lines; undefined where the key is not there. */
export interface Conflict {
  readonly kind: 'conflict'
  readonly key: Key
  readonly base: Buffer | undefined
  readonly ours: Buffer | undefined
  readonly theirs: Buffer | undefined
}

export type Merged = (Edit & { readonly kind: 'edit' }) | Conflict

/** What they changed since the base, as edits of ours, and the conflicts among that, in the order of keys. */
export async function* merge(
  reader: NodeReader,
  base: Tree,
  ours: Tree,
  theirs: Tree,
): AsyncGenerator<Merged> {
  if (base.root === theirs.root || ours.root === theirs.root) return
  const changes = diff(reader, base, ours)
  let change = await next(changes)
  for await (const { key, before, after } of diff(reader, base, theirs)) {
    while (change !== undefined && change.key < key) change = await next(changes)
    if (change?.key !== key) yield { kind: 'edit', key, line: after }
    else if (!same(change.after, after))
      yield { kind: 'conflict', key, base: before, ours: change.after, theirs: after }
  }
}

/**
 * The edits, sorted by key, of which the head holds another line than the base did, and another one than the edit
 * would make it. The edits are ours, the head is theirs.
 */
export async function* conflicts(
  reader: NodeReader,
  base: Tree,
  head: Tree,
  edits: Edits,
): AsyncGenerator<Conflict> {
  if (base.root === head.root) return
  const before = new Cursor(reader, base)
  const after = new Cursor(reader, head)
  let seen = 0
  for await (const { key, line: ours } of edits) {
    seen += 1
    if (seen % EDITS_A_TURN === 0) await setImmediate()
    if (await agree(before, after, key)) continue
    const theirs = lineOf(after, key)
    if (!same(ours, theirs)) yield { kind: 'conflict', key, base: lineOf(before, key), ours, theirs }
  }
}

/** Moves both to a key. Whether it is the same on both sides; if not, both stand on lines. */
async function agree(a: Cursor, b: Cursor, key: Key): Promise<boolean> {
  for (;;) {
    a.skipTo(key)
    b.skipTo(key)
    if (a.sharesLine(b)) return true
    const level = Math.max(levelOf(a), levelOf(b))
    if (level === 0) return same(lineOf(a, key), lineOf(b, key))
    if (levelOf(a) === level) await a.open()
    if (levelOf(b) === level) await b.open()
  }
}

function levelOf(cursor: Cursor): number {
  return cursor.ended ? 0 : cursor.level
}

/** The line of a key where the cursor has been moved to it. */
function lineOf(cursor: Cursor, key: Key): Buffer | undefined {
  return !cursor.ended && cursor.key === key ? cursor.line : undefined
}

function same(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b)
}

async function next(differences: AsyncGenerator<Difference>): Promise<Difference | undefined> {
  const result = await differences.next()
  return result.done === true ? undefined : result.value
}
