/**
 * A replica that adopts so many generations at a time until it is killed: `node adopting-child.ts <folder> <how many>`.
 *
 * It writes the id of every acknowledged head as one line, and nothing else.
 */
import { writeSync } from 'node:fs'
import type { Flip } from '../../src/ledger/ledger.ts'
import type { Generation } from '../../src/model/generation.ts'
import { flipAfter, LINEAGE, openedLedger } from './a-ledger.ts'

const [path = '', atOnce = ''] = process.argv.slice(2)
const ledger = await openedLedger(path, { now: () => Date.now(), monotonic: () => performance.now() })
for (;;) {
  let parent: Generation | undefined = ledger.generations.head()
  const records: Flip[] = []
  for (let at = 0; at < Number(atOnce); at += 1) {
    const flip = flipAfter(parent)
    records.push(flip)
    parent = { gid: flip.gid, record: flip.record, state: 'active', signatures: [] }
  }
  const lineages = [{ id: LINEAGE, parent: null, forkAt: null, reason: 'init' }] as const
  const { gid } = await ledger.generations.adopt({ lineages, records })
  writeSync(1, `${gid}\n`)
}
