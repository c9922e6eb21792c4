/**
 * All nodes there are keep the promises of `Nodes`.
 */
import type { Digest } from '../../src/model/digest.ts'
import { MemoryNodes } from '../../src/pool/memory-pool.ts'
import type { Segment } from '../../src/pool/pool.ts'
import { StoreAtHand } from './disk-store.ts'
import { everyNodes, type NodesAtHand } from './every-nodes.ts'

/** Before the deflated bytes of a row. */
const HEADER_BYTES = 8

everyNodes('DiskNodes', async (): Promise<NodesAtHand> => {
  const hand = await StoreAtHand.open()
  return {
    get nodes() {
      return hand.store.nodes
    },
    restart: async () => await hand.restart(),
    damage: async (digest, change) =>
      await hand.damageRow('nodes', digest, (row) =>
        Buffer.concat([row.subarray(0, HEADER_BYTES), change(row.subarray(HEADER_BYTES))]),
      ),
    [Symbol.asyncDispose]: async () => await hand[Symbol.asyncDispose](),
  }
})

everyNodes('MemoryNodes', async (): Promise<NodesAtHand> => {
  const kept = new Map<Digest, Segment>()
  return {
    nodes: new MemoryNodes(kept),
    restart: async () => undefined,
    damage: async (digest, change) => {
      const segment = kept.get(digest)
      if (segment !== undefined) kept.set(digest, { ...segment, deflated: change(segment.deflated) })
    },
    [Symbol.asyncDispose]: async () => undefined,
  }
})
