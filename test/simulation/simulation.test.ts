/**
 * The machines of `src/depot/activation/` in a world of their own: histories with everything that may go wrong, of which
 * none breaks an invariant; and with one rule switched off, of which one is found soon.
 */
import { describe, expect, it } from 'vitest'
import { HOLES, MUTATIONS } from './mutations.ts'
import { search } from './search.ts'
import { simulate } from './simulate.ts'

const HISTORIES = 10_000
const AT_ONCE = 500
/** In so many histories a mutation is found, or the simulation is not worth much. */
const SOON = 1_000

describe('an activation', () => {
  it.each(Array.from({ length: HISTORIES / AT_ONCE }, (_, at) => 1 + at * AT_ONCE))(
    'keeps I3, I5, I10, I11, I20 and I22 in 500 histories, from seed %i on',
    (from) => {
      const { failed, activated, answers } = search(from, AT_ONCE)
      expect(failed && `seed ${failed.seed}: ${failed.violation?.message}`).toBeUndefined()
      // There was something to be judged.
      expect(activated).toBeGreaterThan(AT_ONCE)
      expect(answers).toBeGreaterThan(100 * AT_ONCE)
    },
  )
})

describe('the simulation', () => {
  it.each(Object.entries({ ...MUTATIONS, ...HOLES }))('finds %s', (_name, mutation) => {
    const { failed, histories } = search(1, SOON, mutation)
    expect(histories).toBeLessThan(SOON)
    expect(mutation.invariants).toContain(failed?.violation?.invariant)
  })

  it('tells the same history of the same seed', () => {
    const told = (seed: number): string => {
      const lines: string[] = []
      simulate(seed, undefined, (atMs, who, sentence) => lines.push(`${atMs} ${who} ${sentence}`))
      return lines.join('\n')
    }
    expect(told(7)).toBe(told(7))
    expect(told(7)).not.toBe(told(8))
  })

  it('goes the same way whether somebody listens or not', () => {
    const heard = simulate(12, undefined, () => undefined)
    expect(simulate(12)).toEqual(heard)
  })
})
