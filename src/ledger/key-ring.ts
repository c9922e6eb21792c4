/**
 * The key ring: one row, for it is small and changes as one. Public keys and what they say of each other; no private key
 * is ever in the ledger.
 */
import { strict as assert } from 'node:assert'
import type { PinnedRing } from '../model/keys/pinned.ts'
import { isKeyRing } from '../model/keys/ring.ts'
import { textKey } from './keys.ts'
import type { Ring } from './ledger.ts'
import type { Store } from './store.ts'

const KEPT = textKey('kept')

export class LmdbRing implements Ring {
  readonly #store: Store
  #kept: PinnedRing | undefined

  constructor(store: Store) {
    this.#store = store
    const row = store.tables.ring.get(KEPT)
    this.#kept = row && (JSON.parse(row.toString()) as PinnedRing)
    assert(this.#kept === undefined || isKeyRing(this.#kept.ring), 'what is kept is a key ring')
  }

  kept(): PinnedRing | undefined {
    return this.#kept
  }

  async keep(ring: PinnedRing): Promise<void> {
    assert(isKeyRing(ring.ring), 'a key ring is kept')
    await this.#store.write([[this.#store.tables.ring, KEPT, Buffer.from(JSON.stringify(ring))]])
    this.#kept = ring
  }
}
