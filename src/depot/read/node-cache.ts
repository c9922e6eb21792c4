/**
 * Decoded nodes of the trees, kept while they are hot. Nodes never change, so nothing ever has to be thrown out of
 * here but for room.
 */
import { LRUCache } from 'lru-cache'
import { type NodeReader, TreeNode } from '../../metaset/node.ts'
import type { Digest } from '../../model/digest.ts'
import { LIMITS } from '../../model/limits.ts'
import type { Nodes } from '../../pool/pool.ts'
import { plainNode } from '../../pool/segment.ts'

/** What a decoded node costs beside its bytes, roughly. */
const OVERHEAD_BYTES = 2048

/** Always answers at once: the disk is mapped, and a node takes less time to inflate than a thread to wake up. */
export class NodeCache implements NodeReader {
  readonly #nodes: Pick<Nodes, 'lent'>
  readonly #decoded: LRUCache<Digest, TreeNode>

  constructor(nodes: Pick<Nodes, 'lent'>, maximumBytes: number = LIMITS.nodeCacheBytes) {
    this.#nodes = nodes
    this.#decoded = new LRUCache({
      maxSize: maximumBytes,
      sizeCalculation: (node) => node.bytes.length * 2 + OVERHEAD_BYTES,
    })
  }

  /** Fails with `blob-unavailable` or `blob-corrupt`. */
  node(digest: Digest, level: number): TreeNode {
    return this.#decoded.get(digest) ?? this.#load(digest, level)
  }

  #load(digest: Digest, level: number): TreeNode {
    const node = new TreeNode(plainNode(digest, this.#nodes.lent(digest)), level)
    this.#decoded.set(digest, node)
    return node
  }
}
