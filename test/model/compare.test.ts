/** Comparing generations (PROTOCOL §1): golden vectors, and a partial order on every forest of lineages. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Comparison,
  compareGids,
  type Gid,
  type Lineage,
  type LineageId,
} from '../../src/model/generation.ts'
import { fixture } from './fixture.ts'

interface GoldenComparison {
  readonly want: Gid
  readonly have: Gid
  readonly answer: Comparison
  readonly why: string
}

const golden = fixture<{ lineages: Lineage[]; comparisons: GoldenComparison[] }>('gids.json')

function table(lineages: readonly Lineage[]): ReadonlyMap<LineageId, Lineage> {
  return new Map(lineages.map((lineage) => [lineage.id, lineage]))
}

/** A generation that exists, and the one before it in its history. */
interface Real {
  readonly gid: Gid
  readonly lineage: number
  readonly parent: Real | undefined
}

interface Forest {
  readonly lineages: ReadonlyMap<LineageId, Lineage>
  readonly generations: readonly Real[]
  /** For each lineage, itself and those it descends from. */
  readonly ancestry: readonly (readonly number[])[]
}

/** Ten lineages at most. Each begins anew or forks from an earlier one, at one of its generations, with a jump. */
const forests: fc.Arbitrary<Forest> = fc
  .array(
    fc.record({
      parent: fc.option(fc.nat(9), { freq: 4 }),
      forkAt: fc.nat(9),
      jump: fc.integer({ min: 1, max: 5 }),
      length: fc.integer({ min: 1, max: 4 }),
    }),
    { minLength: 1, maxLength: 10, size: 'max' },
  )
  .map((seeds) => {
    const lineages = new Map<LineageId, Lineage>()
    const lines: Real[][] = []
    const ancestry: number[][] = []
    for (const [at, seed] of seeds.entries()) {
      const parent = seed.parent === null || at === 0 ? undefined : seed.parent % at
      const line = parent === undefined ? undefined : lines[parent]
      let before = line?.[seed.forkAt % line.length]
      const forkAt = before === undefined ? null : numberOf(before)
      lineages.set(idOf(at), {
        id: idOf(at),
        parent: parent === undefined ? null : idOf(parent),
        forkAt,
        reason: 'fork',
      })
      ancestry.push([at, ...(parent === undefined ? [] : (ancestry[parent] ?? []))])
      const first = forkAt === null ? 0 : forkAt + seed.jump
      const own: Real[] = []
      for (let number = first; number < first + seed.length; number += 1) {
        before = { gid: `g${number}.${idOf(at)}.${'0'.repeat(16)}` as Gid, lineage: at, parent: before }
        own.push(before)
      }
      lines.push(own)
    }
    return { lineages, generations: lines.flat(), ancestry }
  })

function idOf(at: number): LineageId {
  return `lineage${'abcdefghij'.charAt(at)}aaaa` as LineageId
}

function numberOf({ gid }: Real): number {
  return Number(gid.slice(1).split('.')[0])
}

/** What is so: `want` is satisfied when it is in the history of `have`. */
function truth(want: Real, have: Real, { ancestry }: Forest): Comparison {
  for (let at: Real | undefined = have; at !== undefined; at = at.parent) if (at === want) return 'satisfied'
  if (want.lineage === have.lineage) return 'behind'
  if (ancestry[have.lineage]?.includes(want.lineage) === true) return 'lost'
  return ancestry[want.lineage]?.includes(have.lineage) === true ? 'behind' : 'unknown'
}

/** A forest, and generations picked from it. */
function picks(count: number): fc.Arbitrary<readonly [Forest, readonly Real[]]> {
  return forests.chain((forest) =>
    fc.tuple(
      fc.constant(forest),
      fc.array(fc.constantFrom(...forest.generations), { minLength: count, maxLength: count }),
    ),
  )
}

describe('comparing', () => {
  it.each(golden.comparisons)('$why: want $want, have $have: $answer', ({ want, have, answer }) => {
    expect(compareGids(want, have, table(golden.lineages))).toBe(answer)
  })

  it('does not depend on the order in which lineages are known', () => {
    const backwards = table([...golden.lineages].reverse())
    const answers = golden.comparisons.map(({ want, have }) => compareGids(want, have, backwards))
    expect(answers).toEqual(golden.comparisons.map(({ answer }) => answer))
  })
})

describe('on every forest of lineages', () => {
  it('a generation satisfies exactly what is in its history, and the rest is told as PROTOCOL §1 says', () => {
    fc.assert(
      fc.property(forests, (forest) => {
        for (const want of forest.generations)
          for (const have of forest.generations)
            expect([want.gid, have.gid, compareGids(want.gid, have.gid, forest.lineages)]).toEqual([
              want.gid,
              have.gid,
              truth(want, have, forest),
            ])
      }),
    )
  })

  it('every generation satisfies itself', () => {
    fc.assert(
      fc.property(picks(1), ([{ lineages }, [a]]) => {
        expect(a && compareGids(a.gid, a.gid, lineages)).toBe('satisfied')
      }),
    )
  })

  it('two that satisfy each other are one', () => {
    fc.assert(
      fc.property(picks(2), ([{ lineages }, [a, b]]) => {
        const [one, other] = [a?.gid as Gid, b?.gid as Gid]
        const both =
          compareGids(one, other, lineages) === 'satisfied' &&
          compareGids(other, one, lineages) === 'satisfied'
        expect(both).toBe(one === other)
      }),
    )
  })

  it('what satisfies a generation satisfies all that it satisfies', () => {
    let chains = 0
    fc.assert(
      fc.property(picks(3), ([{ lineages }, picked]) => {
        // In the order of their numbers, so that chains are met often.
        const [a, b, c] = picked.toSorted((x, y) => numberOf(x) - numberOf(y)).map(({ gid }) => gid)
        const [low, middle, high] = [a as Gid, b as Gid, c as Gid]
        if (compareGids(low, middle, lineages) !== 'satisfied') return
        if (compareGids(middle, high, lineages) !== 'satisfied') return
        chains += 1
        expect(compareGids(low, high, lineages)).toBe('satisfied')
      }),
      { numRuns: 500 },
    )
    expect(chains).toBeGreaterThan(50)
  })

  it('the same number and lineage with another digest has diverged, both ways', () => {
    fc.assert(
      fc.property(picks(1), ([{ lineages }, [a]]) => {
        const gid = a?.gid as Gid
        const other = gid.replace(/0{16}$/, '0123456789abcdef') as Gid
        expect(compareGids(gid, other, lineages)).toBe('diverged')
        expect(compareGids(other, gid, lineages)).toBe('diverged')
      }),
    )
  })

  it('a lineage that is not known here is never satisfied and satisfies nothing', () => {
    fc.assert(
      fc.property(picks(1), fc.nat(100), ([{ lineages }, [a]], number) => {
        const stranger = `g${number}.strangeraaaa.0000000000000000` as Gid
        expect(compareGids(stranger, a?.gid as Gid, lineages)).toBe('unknown')
        expect(compareGids(a?.gid as Gid, stranger, lineages)).toBe('unknown')
      }),
    )
  })
})

describe('a table of lineages that makes no sense', () => {
  const a = 'circleaaaaaa' as LineageId
  const b = 'circlebaaaaa' as LineageId
  const stranger = 'g1.strangeraaaa.0000000000000000' as Gid

  it('that goes round in a circle still gives an answer', () => {
    const circle = table([
      { id: a, parent: b, forkAt: 5, reason: 'fork' },
      { id: b, parent: a, forkAt: 5, reason: 'fork' },
    ])
    expect(compareGids(stranger, `g9.${a}.0000000000000000` as Gid, circle)).toBe('unknown')
  })

  it('that lacks a parent still gives an answer', () => {
    const torn = table([{ id: a, parent: b, forkAt: 5, reason: 'fork' }])
    expect(compareGids(stranger, `g9.${a}.0000000000000000` as Gid, torn)).toBe('unknown')
    expect(compareGids(`g5.${b}.0000000000000000` as Gid, `g9.${a}.0000000000000000` as Gid, torn)).toBe(
      'satisfied',
    )
  })

  it('that does not say where a lineage forked trusts nothing of the parent but its g0', () => {
    const vague = table([{ id: a, parent: b, forkAt: null, reason: 'fork' }])
    expect(compareGids(`g1.${b}.0000000000000000` as Gid, `g9.${a}.0000000000000000` as Gid, vague)).toBe(
      'lost',
    )
  })
})
