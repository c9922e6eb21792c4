/**
 * Decoded nodes of the trees, kept while they are hot. Nodes never change, so nothing ever has to be thrown out of
 * here but for room.
 */
import { LRUCache } from 'lru-cache'
import { type NodeReader, TreeNode } from '../../metaset/node.ts'
import type { Digest } from '../../model/digest.ts'
import { LIMITS } from '../../model/limits.ts'
import type { Nodes } from '../../pool/pool.ts'

/** What a decoded node costs beside its bytes, roughly. */
const OVERHEAD_BYTES = 2048

export class NodeCache implements NodeReader {
  readonly #nodes: Pick<Nodes, 'read'>
  readonly #decoded: LRUCache<Digest, TreeNode>

  constructor(nodes: Pick<Nodes, 'read'>, maximumBytes: number = LIMITS.nodeCacheBytes) {
    this.#nodes = nodes
    this.#decoded = new LRUCache({
      maxSize: maximumBytes,
      sizeCalculation: (node) => node.bytes.length * 2 + OVERHEAD_BYTES,
    })
  }

  node(digest: Digest, level: number): TreeNode | Promise<TreeNode> {
    return this.#decoded.get(digest) ?? this.#load(digest, level)
  }

  async #load(digest: Digest, level: number): Promise<TreeNode> {
    const node = new TreeNode(await this.#nodes.read(digest), level)
    this.#decoded.set(digest, node)
    return node
  }
}
