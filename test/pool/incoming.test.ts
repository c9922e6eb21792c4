/**
 * Every `Incoming` there is keeps its promises.
 */
import { openMemoryStore } from '../../src/pool/memory-pool.ts'
import { realClock } from '../support/real-world.ts'
import { StoreAtHand } from './disk-store.ts'
import { everyIncoming, type IncomingAtHand } from './every-incoming.ts'

everyIncoming('a DiskIncoming', async (): Promise<IncomingAtHand> => {
  const hand = await StoreAtHand.open()
  return {
    get incoming() {
      return hand.store.incoming
    },
    get pool() {
      return hand.store.pool
    },
    restart: async () => await hand.restart(),
    [Symbol.asyncDispose]: async () => await hand[Symbol.asyncDispose](),
  }
})

everyIncoming('a MemoryIncoming', async (): Promise<IncomingAtHand> => {
  const { incoming, pool } = openMemoryStore(realClock)
  return { incoming, pool, restart: async () => undefined, [Symbol.asyncDispose]: async () => undefined }
})
