/**
 * Tokens are found by the hash of their secret until they are revoked, and pay for what they upload.
 */
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Token, TokensSince } from '../../src/ledger/ledger.ts'
import type { Row, Store } from '../../src/ledger/store.ts'
import { LmdbTokens } from '../../src/ledger/tokens.ts'
import { digestOf } from '../../src/model/digest.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { parseScopes } from '../../src/model/scope.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { FIRST_MS, openedLedger, openedStore } from './a-ledger.ts'

function token(id: string, more: Partial<Token> = {}): Token {
  const scopes = parseScopes(['publish:stable'])
  return {
    id,
    hash: digestOf(`secret of ${id}`),
    label: `${id}!`,
    scopes,
    createdMs: FIRST_MS,
    usedBytes: 0,
    ...more,
  }
}

describe('a token', () => {
  it('is found by its hash, also after a restart', async () => {
    await using folder = await temporaryFolder()
    const before = await openedLedger(folder.path)
    const one = token('t1', { expiresMs: FIRST_MS + 1, quotaBytes: 10 })
    await before.tokens.add(one)
    await before.tokens.add(token('t2'))
    expect(before.tokens.byHash(one.hash)).toEqual(one)
    expect(before.tokens.byHash(digestOf('secret of nobody'))).toBeUndefined()
    await before[Symbol.asyncDispose]()

    await using after = await openedLedger(folder.path)
    expect(after.tokens.byHash(one.hash)).toEqual(one)
    expect(after.tokens.list()).toEqual([one, token('t2')])
  })

  it('is not to be found before it is durable, and not after it was revoked (L1)', async () => {
    await using folder = await temporaryFolder()
    const before = await openedLedger(folder.path)
    const { hash } = token('t1')
    const adding = before.tokens.add(token('t1'))
    expect(before.tokens.byHash(hash)).toBeUndefined()
    await adding
    await before.tokens.revoke('t1', FIRST_MS + 5)
    expect(before.tokens.byHash(hash)).toBeUndefined()
    expect(before.tokens.list()).toEqual([token('t1', { revokedMs: FIRST_MS + 5 })])
    await before[Symbol.asyncDispose]()

    await using after = await openedLedger(folder.path)
    expect(after.tokens.byHash(hash)).toBeUndefined()
    expect(after.tokens.list()[0]?.revokedMs).toBe(FIRST_MS + 5)
  })

  it('has everything counted that was uploaded, however many come at once', async () => {
    await using folder = await temporaryFolder()
    const before = await openedLedger(folder.path)
    await before.tokens.add(token('t1'))
    await Promise.all(Array.from({ length: 20 }, async () => await before.tokens.use('t1', 9)))
    await before.tokens.revoke('t1', FIRST_MS)
    // What was under way when it was revoked.
    await before.tokens.use('t1', 1)
    expect(before.tokens.list()[0]?.usedBytes).toBe(181)
    await before.tokens.use('nobody', 1)
    await before[Symbol.asyncDispose]()

    await using after = await openedLedger(folder.path)
    expect(after.tokens.list().map(({ id, usedBytes }) => [id, usedBytes])).toEqual([['t1', 181]])
  })

  it('beyond the limit takes the place of the longest revoked, or is refused', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const tokens = Array.from({ length: LIMITS.tokens - 1 }, (_, at) => token(`t${at}`))
    await Promise.all(tokens.map(async (one) => await ledger.tokens.add(one)))
    const both = [token('last'), token('too many')]
    const added = await Promise.allSettled(both.map(async (one) => await ledger.tokens.add(one)))
    expect(added).toMatchObject([
      { status: 'fulfilled' },
      { status: 'rejected', reason: { code: 'limit-exceeded' } },
    ])
    expect(ledger.tokens.list().length).toBe(LIMITS.tokens)
    await expect(ledger.tokens.add(token('more'))).rejects.toMatchObject({ code: 'limit-exceeded' })
    await ledger.tokens.revoke('t7', FIRST_MS + 2)
    await ledger.tokens.revoke('t8', FIRST_MS + 1)
    await ledger.tokens.add(token('more'))
    const ids = new Set(ledger.tokens.list().map((one) => one.id))
    expect([ids.size, ids.has('t7'), ids.has('t8'), ids.has('more')]).toEqual([
      LIMITS.tokens,
      true,
      false,
      true,
    ])

    // One place becomes free, for one of two who come together.
    const late = [token('late'), token('later')]
    const outcomes = await Promise.allSettled(late.map(async (one) => await ledger.tokens.add(one)))
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    expect(ledger.tokens.list().length).toBe(LIMITS.tokens)
  })
})

describe('the edition of the tokens', () => {
  const labels = ({ tokens }: TokensSince): readonly string[] => tokens.map(({ id }) => id)

  it('moves with every token that is added or revoked, and with nothing else', async () => {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const editions = [ledger.tokens.edition()]
    const moved = async (act: () => Promise<void>): Promise<boolean> => {
      await act()
      const edition = ledger.tokens.edition()
      const isNew = edition !== editions.at(-1)
      editions.push(edition)
      return isNew
    }
    expect(await moved(async () => await ledger.tokens.add(token('t1')))).toBe(true)
    expect(await moved(async () => await ledger.tokens.add(token('t2')))).toBe(true)
    expect(await moved(async () => await ledger.tokens.use('t1', 5))).toBe(false)
    expect(await moved(async () => await ledger.tokens.revoke('t1', FIRST_MS))).toBe(true)
    expect(await moved(async () => await ledger.tokens.revoke('t1', FIRST_MS))).toBe(false)
    expect(await moved(async () => await ledger.tokens.revoke('nobody', FIRST_MS))).toBe(false)
    expect(labels(ledger.tokens.since(editions[0]))).toEqual(['t1', 't2'])
    expect(labels(ledger.tokens.since(editions[2]))).toEqual(['t1'])
    expect(labels(ledger.tokens.since(editions.at(-1)))).toEqual([])
  })

  it('is the same after a restart, and what changed before it is still known', async () => {
    await using folder = await temporaryFolder()
    const before = await openedLedger(folder.path)
    await before.tokens.add(token('t1'))
    const early = before.tokens.edition()
    await before.tokens.add(token('t2'))
    const late = before.tokens.edition()
    await before[Symbol.asyncDispose]()

    await using after = await openedLedger(folder.path)
    expect(after.tokens.edition()).toBe(late)
    expect(after.tokens.since(early)).toEqual({ edition: late, isWhole: false, tokens: [token('t2')] })
    await after.tokens.add(token('t3'))
    expect(labels(after.tokens.since(late))).toEqual(['t3'])
    expect(labels(after.tokens.since(early))).toEqual(['t2', 't3'])
  })

  it('of another history is not known here, though it has the same number', async () => {
    await using one = await temporaryFolder()
    await using other = await temporaryFolder()
    await using here = await openedLedger(one.path)
    await using there = await openedLedger(other.path)
    await here.tokens.add(token('t1'))
    await there.tokens.add(token('t2'))
    const foreign = there.tokens.edition()
    await here.tokens.add(token('t3'))
    expect(here.tokens.since(foreign)).toMatchObject({ isWhole: true })
    expect(labels(here.tokens.since(foreign))).toEqual(['t1', 't3'])
    for (const nonsense of ['', '1', 'x.y', undefined]) expect(here.tokens.since(nonsense).isWhole).toBe(true)
  })

  it('never passes by a change that is still being written', async () => {
    await using folder = await temporaryFolder()
    await using store = await openedStore(folder.path)
    const gates: PromiseWithResolvers<void>[] = []
    const slow = {
      tables: store.tables,
      write: async (rows: readonly Row[]) => {
        const gate = Promise.withResolvers<void>()
        gates.push(gate)
        await gate.promise
        await store.write(rows)
      },
    }
    const tokens = new LmdbTokens(slow as unknown as Store)
    const [before, writing] = [
      tokens.edition(),
      ['t1', 't2', 't3'].map(async (id) => await tokens.add(token(id))),
    ]
    // The disk is done with the last one first, and fails at the second.
    gates[2]?.resolve()
    await store.write([])
    await setImmediate()
    expect([tokens.edition(), tokens.byHash(token('t3').hash)]).toEqual([before, undefined])
    gates[1]?.reject(new Error('the disk failed'))
    gates[0]?.resolve()
    expect((await Promise.allSettled(writing)).map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
    ])
    expect(labels(tokens.since(before))).toEqual(['t1', 't3'])
  })
})
