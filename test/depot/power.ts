/**
 * Power that is cut at one step. A step is a call that changes a store. It either fails before anything of it happened,
 * or happens and is never heard of; either way nothing happens after it.
 */
import type { KeySafe } from '../../src/depot/keys/safe.ts'
import type { Stores } from './an-engine.ts'

export class PowerCut extends Error {}

/** Cuts the power at step `at`: before it, or after it happened and before anybody heard of it. */
export interface Cut {
  readonly at: number
  readonly when: 'before' | 'after'
}

const CHANGES: ReadonlySet<PropertyKey> = new Set([
  'put',
  'putAll',
  'write',
  'append',
  'keep',
  'finish',
  'flip',
  'adopt',
  'hold',
  'open',
  'close',
  'lease',
  'want',
  'use',
  'sign',
  'make',
  'drop',
])

export class Power {
  readonly #cut: Cut
  #step = 0
  #isOut = false

  constructor(cut: Cut) {
    this.#cut = cut
  }

  get steps(): number {
    return this.#step
  }

  wrap(stores: Stores): Stores {
    const { pool, reserve, nodes, incoming, ledger } = stores
    return {
      ...stores,
      pool: this.#through(pool, 'pool'),
      reserve: this.#through(reserve, 'pool'),
      nodes: this.#through(nodes, 'nodes'),
      incoming: this.#through(incoming, 'incoming'),
      ledger: {
        generations: this.#through(ledger.generations, 'generations'),
        stages: this.#through(ledger.stages, 'stages'),
        changes: this.#through(ledger.changes, 'changes'),
        blobs: this.#through(ledger.blobs, 'blobs'),
        outcomes: this.#through(ledger.outcomes, 'outcomes'),
        tokens: this.#through(ledger.tokens, 'tokens'),
        ring: this.#through(ledger.ring, 'ring'),
        notes: this.#through(ledger.notes, 'notes'),
      },
    }
  }

  /** Steps of a safe count as those of the stores. */
  wrapSafe(safe: KeySafe): KeySafe {
    return this.#through(safe, 'safe')
  }

  #through<Port extends object>(port: Port, called: string): Port {
    return new Proxy(port, {
      get: (target, name) => {
        const method: unknown = Reflect.get(target, name)
        if (typeof method !== 'function') return method
        // Opening a blob only reads.
        const isChange = CHANGES.has(name) && !(called === 'pool' && name === 'open')
        return isChange
          ? async (...how: readonly unknown[]) =>
              await this.#changing(async () => await (method.apply(target, how) as Promise<unknown>))
          : (...how: readonly unknown[]) => {
              if (this.#isOut) throw new PowerCut()
              return method.apply(target, how) as unknown
            }
      },
    })
  }

  async #changing(act: () => Promise<unknown>): Promise<unknown> {
    if (this.#isOut) throw new PowerCut()
    this.#step += 1
    if (this.#step !== this.#cut.at) {
      const outcome = await act()
      if (this.#isOut) throw new PowerCut()
      return outcome
    }
    if (this.#cut.when === 'before') this.#isOut = true
    else {
      await act()
      this.#isOut = true
    }
    throw new PowerCut()
  }
}
