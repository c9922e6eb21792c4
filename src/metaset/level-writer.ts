/**
 * Writes the nodes of one level from lines that come in order, and tells the level above what has changed.
 */
import { type Digest, digestOf } from '../model/digest.ts'
import type { Slices } from '../model/slice.ts'
import { type KeyHasher, type Shape, startsNode } from './boundary.ts'
import type { Key } from './key.ts'
import { TreeNode } from './node.ts'
import { partsOf, Run } from './run.ts'
import type { Edit } from './source.ts'
import { lineOfChild, type Tree } from './tree.ts'

/** Takes new nodes, children before parents. What it returns is awaited before the next node is made. */
export interface NodeSink {
  add(digest: Digest, bytes: Buffer): Promise<void> | undefined
}

/** What the writers of all levels share. */
export interface Writing {
  readonly hashOf: KeyHasher
  readonly shape: Shape
  readonly sink: NodeSink
  readonly slices: Slices
  /** The old tree. Its root is not handed to the sink again where it becomes one node of many. */
  readonly tree: Tree
}

/** The only child of a node, and whether it is new. */
export interface OnlyChild {
  readonly tree: Tree
  readonly fresh: boolean
}

interface OldNode {
  readonly key: Key
  readonly root: Digest
}

export class LevelWriter {
  /** What the level above has to change: lines of new nodes, and keys of nodes that are gone. */
  readonly changes: Edit[] = []
  readonly #writing: Writing
  readonly #level: number
  #run: Run
  /** Old nodes that the new ones replace, in order; the first `#passed` of them are dealt with. */
  #old: OldNode[] = []
  #passed = 0
  #nodes = 0

  constructor(writing: Writing, level: number) {
    this.#writing = writing
    this.#level = level
    this.#run = new Run(level)
  }

  /** Number of lines in the run that is being collected. */
  get length(): number {
    return this.#run.length
  }

  /** Number of nodes that were made, or made again. */
  get nodes(): number {
    return this.#nodes
  }

  /** The child that the only line of the run stands for. */
  get only(): OnlyChild {
    return { tree: new TreeNode(this.#run.bytes(), this.#level).child(0), fresh: this.#run.fresh }
  }

  /** Whether a key starts a node of this level wherever it stands. */
  starts(key: Key): boolean {
    return startsNode(this.#writing.hashOf(key), this.#level, this.#writing.shape)
  }

  /** Tells of an old node whose lines are about to come. */
  replace(key: Key, root: Digest): void {
    this.#old.push({ key, root })
  }

  /** Adds a new line. Undefined when that is done: `await` it only when it is something. */
  add(key: Key, line: Buffer): Promise<void> | undefined {
    if (this.#run.length > 0 && this.starts(key)) return this.#close().then(() => this.#run.append(key, line))
    this.#run.append(key, line)
    return undefined
  }

  /** Adds lines of an old node, of which none but the very first can start a run. */
  async copy(node: TreeNode, from: number, until: number): Promise<void> {
    if (from === until) return
    if (from === 0 && this.#run.length > 0 && this.starts(node.key(0))) await this.#close()
    this.#run.take(node, from, until)
  }

  /** Ends the run, and with it the old nodes. */
  async finish(): Promise<void> {
    await this.#close()
    this.#pass(undefined)
    this.discard()
  }

  /** Forgets the run, and that it should have replaced anything. */
  discard(): void {
    this.#run = new Run(this.#level)
    this.#old = []
    this.#passed = 0
  }

  async #close(): Promise<void> {
    const { hashOf, shape, slices } = this.#writing
    const run = this.#run
    this.#run = new Run(this.#level)
    if (run.length <= shape.most) await this.#put(run)
    else for await (const part of partsOf(run, { hashOf, most: shape.most, slices })) await this.#put(part)
  }

  /** Makes one node. */
  async #put(run: Run): Promise<void> {
    const { sink, slices, tree } = this.#writing
    const { key } = run
    if (key === undefined) return
    this.#nodes += 1
    const bytes = run.bytes()
    const root = digestOf(bytes)
    if (this.#stays(key, root)) return
    this.changes.push({ key, line: lineOfChild(key, { root, level: this.#level, ...run.extent(bytes) }) })
    if (root !== tree.root) await sink.add(root, bytes)
    await slices.breathe()
  }

  /** Whether an old node was the very same. */
  #stays(key: Key, root: Digest): boolean {
    this.#pass(key)
    const old = this.#old[this.#passed]
    if (old?.key !== key) return false
    this.#passed += 1
    return old.root === root
  }

  /** Drops the old nodes that begin before `key`, or all of them. */
  #pass(key: Key | undefined): void {
    for (let old = this.#old[this.#passed]; old !== undefined; old = this.#old[this.#passed]) {
      if (key !== undefined && old.key >= key) return
      this.changes.push({ key: old.key, line: undefined })
      this.#passed += 1
    }
  }
}
