/**
 * Tokens are found by the hash of their secret until they are revoked, and pay for what they upload.
 */
import { describe, expect, it } from 'vitest'
import type { Token } from '../../src/ledger/ledger.ts'
import { digestOf } from '../../src/model/digest.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { parseScopes } from '../../src/model/scope.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { FIRST_MS, openedLedger } from './a-ledger.ts'

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
