/** Whom a pinned key makes believe, and what a ring may not say. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Gid } from '../../../src/model/generation.ts'
import { instantOf } from '../../../src/model/instant.ts'
import type { SigningKey } from '../../../src/model/keys/key.ts'
import { ledOn, pinnedFor } from '../../../src/model/keys/pinned.ts'
import {
  currentKey,
  encodeStatement,
  endOf,
  isKeyRing,
  type KeyRing,
  replaced,
  retired,
  ringOf,
  rotated,
  type SignedStatement,
  type Statement,
  standingsOf,
} from '../../../src/model/keys/ring.ts'
import { demandSigned } from '../../../src/model/keys/signed.ts'
import { trustIn } from '../../../src/model/keys/trust.ts'
import { LIMITS } from '../../../src/model/limits.ts'
import { BEGAN_MS, DAY_MS, keyOf, ringOfKeys } from './some-keys.ts'

const [a, b, c, evil] = [keyOf('a'), keyOf('b'), keyOf('c'), keyOf('evil')]
const untrusted: unknown = expect.objectContaining({ code: 'key-untrusted' })

function signedBy(statement: Statement, ...keys: readonly SigningKey[]): SignedStatement {
  return { statement, signatures: keys.map((key) => key.sign('statement', encodeStatement(statement))) }
}

/** The ring with its statements changed. */
function saying({ keys }: KeyRing, ...statements: readonly SignedStatement[]): KeyRing {
  return { keys, statements }
}

async function trusted(ring: KeyRing, pinned: SigningKey): Promise<readonly string[]> {
  return [...(await trustIn(ring, pinned.id)).keys.keys()]
}

describe('a pinned key', () => {
  it('leads to every key of its ring, forward and back, whichever it is', async () => {
    const ring = ringOfKeys(a, b, c)
    expect(isKeyRing(ring)).toBe(true)
    for (const pinned of [a, b, c]) expect(await trusted(ring, pinned)).toEqual([a.id, b.id, c.id])
    expect((await trustIn(ring, a.id)).current.id).toBe(c.id)
  })

  it('leads nowhere over a key that was lost', async () => {
    const ring = replaced(ringOfKeys(a, b), c, BEGAN_MS + 20 * DAY_MS)
    expect(await trusted(ring, a)).toEqual([a.id, b.id])
    expect(await trusted(ring, c)).toEqual([c.id])
    await expect(pinnedFor(ring, a.id)).rejects.toEqual(untrusted)
    expect((await pinnedFor(ring, c.id)).pinned).toBe(c.id)
  })

  it('is refused in a ring that does not have it', async () => {
    await expect(trustIn(ringOfKeys(a, b), evil.id)).rejects.toEqual(untrusted)
  })

  it('is not led on by what not both keys have signed', async () => {
    const ring = ringOfKeys(a, b)
    const [{ statement }] = ring.statements as [SignedStatement]
    for (const by of [[a], [b], [evil, b], [a, evil], []]) {
      const forged = saying(ring, signedBy(statement, ...by))
      for (const pinned of [a, b]) await expect(trustIn(forged, pinned.id)).rejects.toEqual(untrusted)
    }
    const swapped = { ...statement, until: '2099-01-01T00:00:00.000Z' } as Statement
    const changed = saying(ring, { ...(ring.statements[0] as SignedStatement), statement: swapped })
    await expect(trustIn(changed, a.id)).rejects.toEqual(untrusted)
  })

  it('is not led on where two keys say that they follow it, or keys follow each other in a circle', async () => {
    const one = ringOfKeys(a, b)
    const other = rotated(ringOf(a, BEGAN_MS), { from: a, to: evil, nowMs: BEGAN_MS, untilMs: BEGAN_MS })
    const fork = {
      keys: [...one.keys, ...other.keys.slice(1)],
      statements: [...one.statements, ...other.statements],
    }
    await expect(trustIn(fork, a.id)).rejects.toEqual(untrusted)
    const [{ statement }] = one.statements as [SignedStatement]
    const back = { ...statement, from: b.id, to: a.id } as Statement
    const circle = saying(one, ...one.statements, signedBy(back, a, b))
    await expect(trustIn(circle, a.id)).rejects.toEqual(untrusted)
  })

  it('does not believe that it is retired by somebody who is not after it', async () => {
    const ring = ringOfKeys(a, b)
    const word = (key: SigningKey, by: SigningKey, signs: SigningKey): SignedStatement =>
      signedBy({ v: 1, kind: 'retirement', key: key.id, by: by.id, created: instantOf(BEGAN_MS) }, signs)
    for (const lie of [word(b, a, a), word(a, b, a), word(a, b, evil)])
      await expect(trustIn(saying(ring, ...ring.statements, lie), b.id)).rejects.toEqual(untrusted)
    // Of keys that are not trusted it says what it likes.
    const stranger = { ...ring, keys: [...ring.keys, ...ringOf(evil, BEGAN_MS).keys] }
    await trustIn(saying(stranger, ...ring.statements, word(a, evil, evil)), b.id)
  })
})

describe('a key', () => {
  const ring = ringOfKeys(a, b)
  const endMs = BEGAN_MS + 11 * DAY_MS
  const record = (createdMs: number): { gid: Gid; record: { created: string }; bytes: Buffer } => ({
    gid: 'g1.k3x7m2q5wz4a.0123456789abcdef' as Gid,
    record: { created: instantOf(createdMs) },
    bytes: Buffer.from(`a record of ${createdMs}`),
  })
  const outcome = async (pinned: SigningKey, by: readonly SigningKey[], createdMs: number, of = ring) => {
    const at = record(createdMs)
    const signatures = by.map((key) => key.sign('generation', at.bytes))
    const trust = await trustIn(of, pinned.id)
    try {
      demandSigned({ ...at, signatures }, trust)
      return 'signed'
    } catch (error) {
      return (error as { code: string }).code
    }
  }

  it('counts until its overlap ends, whichever key is pinned, and not after that', async () => {
    for (const pinned of [a, b]) {
      expect(await outcome(pinned, [a], endMs)).toBe('signed')
      expect(await outcome(pinned, [a], endMs + 1)).toBe('generation-unsigned')
      expect(await outcome(pinned, [a, b], endMs + 1)).toBe('signed')
      expect(await outcome(pinned, [b], endMs + 1)).toBe('signed')
    }
  })

  it('counts until it is retired, if that is sooner', async () => {
    const sooner = retired(ring, a.id, b, endMs - 1_000)
    expect(endOf(sooner, a.id)).toBe(endMs - 1_000)
    expect(await outcome(a, [a], endMs - 1_000, sooner)).toBe('signed')
    expect(await outcome(a, [a], endMs - 999, sooner)).toBe('generation-unsigned')
    const later = retired(ring, a.id, b, endMs + 1_000)
    expect(await outcome(b, [a], endMs + 1, later)).toBe('generation-unsigned')
  })

  it('that nobody knows says nothing, and one that is known may not be wrong', async () => {
    expect(await outcome(a, [evil], endMs)).toBe('generation-unsigned')
    expect(await outcome(a, [evil, a], endMs)).toBe('signed')
    expect(await outcome(a, [], endMs)).toBe('generation-unsigned')
    const trust = await trustIn(ring, a.id)
    const at = record(endMs)
    const wrong = a.sign('generation', Buffer.from('another'))
    const good = b.sign('generation', at.bytes)
    for (const signatures of [[wrong], [good, wrong], [good, 'nonsense'], [a.sign('statement', at.bytes)]])
      expect(() => {
        demandSigned({ ...at, signatures }, trust)
      }).toThrow(expect.objectContaining({ code: 'signature-wrong' }))
  })

  it('stands as its ring says', () => {
    const states = (nowMs: number): readonly string[] => standingsOf(ring, nowMs).map(({ state }) => state)
    expect(states(endMs)).toEqual(['retiring', 'current'])
    expect(states(endMs + 1)).toEqual(['retired', 'current'])
  })
})

describe('a ring that is kept', () => {
  it('is led on by a longer one, and by nothing else, and forgets nothing', async () => {
    const kept = await pinnedFor(ringOfKeys(a), a.id)
    const led = await ledOn(kept, ringOfKeys(a, b, c))
    expect(led?.pinned).toBe(c.id)
    // An older one is no lie, and no news.
    expect(await ledOn(led!, ringOfKeys(a, b))).toBeUndefined()
    expect(await ledOn(led!, ringOfKeys(a, b, c))).toBeUndefined()
    for (const other of [ringOfKeys(evil), ringOfKeys(a, evil), ringOfKeys(a, b, evil), ringOfKeys(evil, c)])
      await expect(ledOn(led!, other)).rejects.toEqual(untrusted)
    const told = await ledOn(led!, retired(ringOfKeys(a, b, c), b.id, c, BEGAN_MS + 20 * DAY_MS))
    expect(told?.ring.statements.length).toBe(3)
    expect(await ledOn(told!, ringOfKeys(a, b, c))).toBeUndefined()
  })

  it('ends as one, in whichever order parts of it were heard', async () => {
    const keys = ['1', '2', '3', '4', '5', '6'].map(keyOf) as [SigningKey, ...SigningKey[]]
    const rings = keys.map((_, at) => ringOfKeys(...(keys.slice(0, at + 1) as [SigningKey, ...SigningKey[]])))
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(5), { minLength: 1, maxLength: 8 }), async (heard) => {
        const [first = 0] = heard
        let kept = await pinnedFor(rings[first]!, keys[first]!.id)
        for (const at of heard) kept = (await ledOn(kept, rings[at]!)) ?? kept
        const most = Math.max(...heard)
        expect(kept.pinned).toBe(currentKey(rings[most]!).id)
        expect(kept.ring).toEqual(rings[most]!)
      }),
      { numRuns: 30 },
    )
  })

  it('has a bound', () => {
    const keys = Array.from({ length: LIMITS.ringKeys }, (_, at) => keyOf(`n${at}`))
    const full: KeyRing = { keys: keys.flatMap((key) => ringOf(key, BEGAN_MS).keys), statements: [] }
    expect(isKeyRing(full)).toBe(true)
    expect(() => replaced(full, evil, BEGAN_MS)).toThrow(expect.objectContaining({ code: 'limit-exceeded' }))
    expect(isKeyRing({ ...full, keys: [...full.keys, ...ringOf(evil, BEGAN_MS).keys] })).toBe(false)
    expect(isKeyRing({ keys: [], statements: [] })).toBe(false)
  })
})
