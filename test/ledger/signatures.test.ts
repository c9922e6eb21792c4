/** Signatures in the log: beside the record, in its row, through everything that becomes of it. */
import { expect, it } from 'vitest'
import { decode, encode, isRowOfHeld, linkIn } from '../../src/ledger/generation-row.ts'
import type { Flip } from '../../src/ledger/ledger.ts'
import type { Gid } from '../../src/model/generation.ts'
import { keyOf, ringOfKeys } from '../model/keys/some-keys.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { flipAfter, openedLedger } from './a-ledger.ts'

/** Flips one after the other, from the first generation on. */
function chainOf(length: number): readonly Flip[] {
  const chain: Flip[] = []
  for (let at = 0; at < length; at += 1) {
    const last = chain.at(-1)
    chain.push(flipAfter(last && { ...last, state: 'active', signatures: [] }))
  }
  return chain
}

const [a, b] = [keyOf('a'), keyOf('b')]

it('are in the row of the generation, held or not, and rows without them are read as ever', () => {
  const { gid, bytes } = flipAfter(undefined)
  const signatures = [a.sign('generation', bytes), b.sign('generation', bytes)]
  for (const some of [[], signatures.slice(1), signatures])
    for (const isHeld of [true, false]) {
      const row = encode({ gid, bytes, signatures: some }, isHeld)
      expect(decode(row)).toMatchObject({ gid, signatures: some })
      expect(linkIn(row)).toMatchObject({ gid, bytes, signatures: some })
      expect([isRowOfHeld(row, gid), isRowOfHeld(row, 'g9' as Gid)]).toEqual([isHeld, false])
    }
  const old = Buffer.concat([Buffer.from(`${gid}\n`), bytes])
  expect([decode(old).gid, decode(old).signatures, isRowOfHeld(old, gid)]).toEqual([gid, [], true])
  expect(() => encode({ gid, bytes, signatures: ['two words'] })).toThrow()
})

it('are seen with the generation, stay when it becomes held, and are there after a restart', async () => {
  await using folder = await temporaryFolder()
  const chain = chainOf(3)
  const signed = chain.map((flip) => ({ ...flip, signatures: [a.sign('generation', flip.bytes)] }))
  const lineages = chain.flatMap(({ lineage }) => lineage ?? [])
  const told = (generations: { get(gid: Gid): { signatures: readonly string[] } | undefined }): unknown =>
    chain.map(({ gid }) => generations.get(gid)?.signatures)
  {
    await using ledger = await openedLedger(folder.path)
    const head = await ledger.generations.adopt({ lineages, records: signed })
    expect(head.signatures).toEqual(signed[2]?.signatures)
    await ledger.generations.hold(chain[1]!.gid)
    expect(told(ledger.generations)).toEqual(signed.map(({ signatures }) => signatures))
    // Signed anew: what is held stays held, and the head shows it at once.
    const anew = chain.map(({ gid, bytes }) => ({ gid, signatures: [b.sign('generation', bytes)] }))
    await ledger.generations.sign(anew)
    expect(told(ledger.generations)).toEqual(anew.map(({ signatures }) => signatures))
    expect(ledger.generations.head()?.signatures).toEqual(anew[2]?.signatures)
    expect(chain.map(({ gid }) => ledger.generations.isHeld(gid))).toEqual([false, true, true])
    await ledger.ring.keep({ ring: ringOfKeys(a, b), pinned: b.id })
  }
  await using again = await openedLedger(folder.path)
  expect(again.generations.head()?.signatures[0]).toMatch(b.id)
  expect(again.ring.kept()).toEqual({ ring: ringOfKeys(a, b), pinned: b.id })
})
