/**
 * Turns: many share, one is alone, and nobody overtakes.
 */
import { describe, expect, it } from 'vitest'
import { Turns } from '../../src/ledger/turns.ts'

/** Work that is under way until it is told to end, and what was under way whenever some began. */
class Work {
  readonly #turns = new Turns()
  readonly #running = new Set<string>()
  readonly #gates = new Map<string, () => void>()
  readonly seen: string[] = []

  begin(kind: 'share' | 'alone', name: string): Promise<void> {
    return this.#turns[kind]('stage', async () => {
      this.#running.add(name)
      this.seen.push([...this.#running].join('+'))
      await new Promise<void>((resolve) => this.#gates.set(name, resolve))
      this.#running.delete(name)
    })
  }

  async end(name: string): Promise<void> {
    await this.settled()
    this.#gates.get(name)?.()
    await this.settled()
  }

  async settled(): Promise<void> {
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve()
  }

  async idle(): Promise<void> {
    await this.#turns.idle()
  }
}

describe('turns on a stage', () => {
  it('are shared, and had alone after those who came before', async () => {
    const work = new Work()
    const all = [
      work.begin('share', 'a'),
      work.begin('share', 'b'),
      work.begin('alone', 'c'),
      work.begin('share', 'd'),
      work.begin('alone', 'e'),
    ]
    for (const name of ['b', 'a', 'c', 'd', 'e']) await work.end(name)
    await Promise.all(all)
    expect(work.seen).toEqual(['a', 'a+b', 'c', 'd', 'e'])
    await work.idle()
  })

  it('go on after somebody failed', async () => {
    const turns = new Turns()
    const failing = turns.alone('stage', async () => await Promise.reject(new Error('no')))
    const next = turns.share('stage', async () => await Promise.resolve('yes'))
    await expect(failing).rejects.toThrow('no')
    await expect(next).resolves.toBe('yes')
    await turns.idle()
  })
})
