/**
 * The nodes that a copy has brought, as they were decoded to be checked: what has changed is read from them right after,
 * and need not be found on the disk and inflated once more.
 */
import type { NodeReader, TreeNode } from '../metaset/node.ts'
import type { Digest } from '../model/digest.ts'
import { LIMITS } from '../model/limits.ts'

export class RecentNodes implements NodeReader {
  readonly #reader: NodeReader
  readonly #recent = new Map<Digest, TreeNode>()
  #left: number

  /** Keeps as many bytes of plain nodes as this; all others are read by `reader`. */
  constructor(reader: NodeReader, most: number = LIMITS.recentNodeBytes) {
    this.#reader = reader
    this.#left = most
  }

  /** A node that is durable, or will be before it is read. When there is no room it is not kept. */
  add(digest: Digest, node: TreeNode): void {
    if (node.bytes.length > this.#left) return
    this.#left -= node.bytes.length
    this.#recent.set(digest, node)
  }

  node(digest: Digest, level: number): TreeNode | Promise<TreeNode> {
    return this.#recent.get(digest) ?? this.#reader.node(digest, level)
  }
}
