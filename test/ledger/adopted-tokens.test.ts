/**
 * Tokens that are taken over from another ledger: edition by edition, and as a whole where that one cannot tell what
 * changed. Two ledgers of one edition have the same tokens.
 */
import { describe, expect, it } from 'vitest'
import type { AccessEdition, Token } from '../../src/ledger/ledger.ts'
import type { OpenLedger } from '../../src/ledger/open.ts'
import type { Row, Store } from '../../src/ledger/store.ts'
import { LmdbTokens } from '../../src/ledger/tokens.ts'
import { digestOf } from '../../src/model/digest.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { parseScopes } from '../../src/model/scope.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { FIRST_MS, openedLedger, openedStore } from './a-ledger.ts'

function token(id: string, more: Partial<Token> = {}): Token {
  const scopes = parseScopes(['read'])
  return {
    id,
    hash: digestOf(`secret of ${id}`),
    label: id,
    scopes,
    createdMs: FIRST_MS,
    usedBytes: 0,
    ...more,
  }
}

function idsIn({ tokens }: OpenLedger): readonly string[] {
  return tokens
    .list()
    .filter(({ revokedMs }) => revokedMs === undefined)
    .map(({ id }) => id)
    .sort()
}

/** One step of a copy, as a node asks for it. */
async function caughtUp(copy: OpenLedger, origin: OpenLedger): Promise<boolean> {
  const change = origin.tokens.since(copy.tokens.edition())
  await copy.tokens.adopt(change)
  expect(copy.tokens.edition()).toBe(origin.tokens.edition())
  return change.isWhole
}

describe('tokens of another ledger', () => {
  it('are taken over edition by edition, and are there after a restart', async () => {
    await using folders = await temporaryFolder()
    await using other = await temporaryFolder()
    await using origin = await openedLedger(folders.path)
    const before = await openedLedger(other.path)
    await origin.tokens.add(token('t1'))
    await origin.tokens.add(token('t2', { expiresMs: FIRST_MS + 5 }))
    await caughtUp(before, origin)
    expect(before.tokens.list()).toEqual(origin.tokens.list())
    await origin.tokens.revoke('t1', FIRST_MS + 1)
    await origin.tokens.add(token('t3'))
    expect(await caughtUp(before, origin)).toBe(false)
    expect(before.tokens.byHash(token('t1').hash)).toBeUndefined()
    expect(before.tokens.byHash(token('t3').hash)).toEqual(token('t3'))
    await before[Symbol.asyncDispose]()

    await using copy = await openedLedger(other.path)
    expect(copy.tokens.edition()).toBe(origin.tokens.edition())
    const byId = (ledger: OpenLedger): readonly Token[] =>
      ledger.tokens.list().toSorted((a, b) => (a.id < b.id ? -1 : 1))
    expect(byId(copy)).toEqual(byId(origin))
    await origin.tokens.revoke('t2', FIRST_MS + 2)
    expect(await caughtUp(copy, origin)).toBe(false)
    expect(idsIn(copy)).toEqual(['t3'])
  })

  it('are not seen before they are durable (L1), and the same ones twice are the same', async () => {
    await using folder = await temporaryFolder()
    await using copy = await openedLedger(folder.path)
    const edition = '2.0123456789abcdef' as AccessEdition
    const change = { edition, isWhole: false, tokens: [token('t1'), token('t2', { revokedMs: FIRST_MS })] }
    const adopting = copy.tokens.adopt(change)
    expect([copy.tokens.byHash(token('t1').hash), copy.tokens.edition()]).toEqual([
      undefined,
      '0.0000000000000000',
    ])
    await adopting
    await copy.tokens.adopt(change)
    expect([idsIn(copy), copy.tokens.list().length, copy.tokens.edition()]).toEqual([['t1'], 2, edition])
  })

  it('as a whole take the place of all that was here, of whichever history', async () => {
    await using one = await temporaryFolder()
    await using two = await temporaryFolder()
    await using origin = await openedLedger(one.path)
    const before = await openedLedger(two.path)
    for (const id of ['mine', 'both', 'more']) await before.tokens.add(token(id))
    const given = before.tokens.edition()
    await before.tokens.use('both', 7)
    await origin.tokens.add(token('both'))
    expect(await caughtUp(before, origin)).toBe(true)
    expect(idsIn(before)).toEqual(['both'])
    expect(before.tokens.byHash(token('mine').hash)).toBeUndefined()
    // Whoever follows this one has another history than it has now.
    expect(before.tokens.since(given).isWhole).toBe(true)
    expect(before.tokens.since(before.tokens.edition()).isWhole).toBe(false)
    // Counted where it was used.
    expect(before.tokens.list()[0]?.usedBytes).toBe(7)
    await before[Symbol.asyncDispose]()

    await using copy = await openedLedger(two.path)
    expect(idsIn(copy)).toEqual(['both'])
    // An edition of the history that was given up is not one of this one.
    await origin.tokens.add(token('new'))
    expect(await caughtUp(copy, origin)).toBe(false)
    expect(idsIn(copy)).toEqual(['both', 'new'])
  })

  it('that are many are all there or asked for again, wherever it was cut short', async () => {
    await using folder = await temporaryFolder()
    await using one = await temporaryFolder()
    await using origin = await openedLedger(one.path)
    const store = await openedStore(folder.path)
    await origin.tokens.add(token('t0'))
    const many = Array.from({ length: 1_200 }, (_, at) => token(`t${at + 1}`))
    await Promise.all(many.map(async (each) => await origin.tokens.add(each)))
    let shown: readonly Token[] = []
    for (let writes = 0; ; writes += 1) {
      let left = writes
      const dying = {
        tables: store.tables,
        write: async (rows: readonly Row[]) => {
          if (left === 0) throw new Error('the power is cut')
          left -= 1
          await store.write(rows)
        },
      }
      const before = new LmdbTokens(dying as unknown as Store)
      const isCut = await before.adopt(origin.tokens.since(undefined)).then(
        () => false,
        () => true,
      )
      const after = new LmdbTokens(store)
      if (!isCut) {
        expect(writes).toBe(5)
        expect([after.edition(), after.list().length]).toEqual([origin.tokens.edition(), 1_201])
        break
      }
      // It shows nothing of it, but asks for all of it again; so does the one that starts after it.
      expect([before.list(), before.edition()]).toEqual([shown, after.edition()])
      expect(origin.tokens.since(after.edition())).toMatchObject({ isWhole: writes > 0 })
      expect(origin.tokens.since(after.edition()).tokens.length).toBe(1_201)
      // Of another history, which has less: nothing of what came in part stays.
      left = 10
      const edition = '1.0123456789abcdef' as AccessEdition
      await before.adopt({ edition, isWhole: true, tokens: [token('other')] })
      shown = [token('other')]
      expect(new LmdbTokens(store).list()).toEqual(shown)
    }
    await store[Symbol.asyncDispose]()
  })

  it('can be taken over from a copy as well', async () => {
    await using one = await temporaryFolder()
    await using two = await temporaryFolder()
    await using three = await temporaryFolder()
    await using origin = await openedLedger(one.path)
    await using middle = await openedLedger(two.path)
    await using last = await openedLedger(three.path)
    await origin.tokens.add(token('t1'))
    await caughtUp(middle, origin)
    await caughtUp(last, middle)
    await origin.tokens.revoke('t1', FIRST_MS)
    await origin.tokens.add(token('t2'))
    await caughtUp(middle, origin)
    expect(await caughtUp(last, middle)).toBe(false)
    expect(idsIn(last)).toEqual(['t2'])
  })
})

describe('a revocation of which nothing is left', () => {
  async function full(ledger: OpenLedger): Promise<void> {
    const more = Array.from({ length: LIMITS.tokens - 1 }, (_, at) => token(`more${at}`))
    await Promise.all(more.map(async (one) => await ledger.tokens.add(one)))
  }

  it('is not missed by who has not heard of it yet, also after a restart', async () => {
    await using one = await temporaryFolder()
    await using two = await temporaryFolder()
    const before = await openedLedger(one.path)
    await using copy = await openedLedger(two.path)
    await before.tokens.add(token('leaked'))
    await full(before)
    await caughtUp(copy, before)
    expect(copy.tokens.byHash(token('leaked').hash)).toBeDefined()
    const early = copy.tokens.edition()
    await before.tokens.revoke('leaked', FIRST_MS)
    const late = before.tokens.edition()
    // It has to make room.
    await before.tokens.add(token('last'))
    expect(before.tokens.list().some(({ id }) => id === 'leaked')).toBe(false)
    expect([before.tokens.since(early).isWhole, before.tokens.since(late).isWhole]).toEqual([true, false])
    await before[Symbol.asyncDispose]()

    await using origin = await openedLedger(one.path)
    expect(await caughtUp(copy, origin)).toBe(true)
    expect(copy.tokens.byHash(token('leaked').hash)).toBeUndefined()
    expect(copy.tokens.list().length).toBe(LIMITS.tokens)
  })

  it('makes room in a copy too, when that has heard of it', async () => {
    await using one = await temporaryFolder()
    await using two = await temporaryFolder()
    await using origin = await openedLedger(one.path)
    await using copy = await openedLedger(two.path)
    await origin.tokens.add(token('leaked'))
    await full(origin)
    await caughtUp(copy, origin)
    await origin.tokens.revoke('leaked', FIRST_MS)
    await caughtUp(copy, origin)
    await origin.tokens.add(token('last'))
    expect(await caughtUp(copy, origin)).toBe(false)
    expect(copy.tokens.list().length).toBe(LIMITS.tokens)
    expect(idsIn(copy)).toEqual(idsIn(origin))
  })
})
