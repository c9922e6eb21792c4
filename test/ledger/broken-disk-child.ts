/**
 * Flips eight times, beside other writes, whatever the disk does, and tells what came of each: `node
 * broken-disk-child.ts <folder>`. Meant to run under `strace`, which makes one pwrite fail.
 */
import { isFailure } from '../../src/model/errors.ts'
import { flipAfter, openedLedger, openStage } from './a-ledger.ts'

console.error = () => undefined // lmdb-js tells every failed commit
const ledger = await openedLedger(process.argv[2] ?? '')
const outcomes: string[] = []
for (let at = 0; at < 8; at += 1) {
  const both = [ledger.generations.flip(flipAfter(ledger.generations.head())), openStage(ledger, `s${at}`)]
  for (const one of await Promise.allSettled(both))
    outcomes.push(one.status === 'fulfilled' ? 'done' : codeOf(one.reason))
}
const head = ledger.generations.head()?.record.number
await ledger[Symbol.asyncDispose]()
process.stdout.write(JSON.stringify({ outcomes, head }))

function codeOf(error: unknown): string {
  return isFailure(error) ? error.code : String(error)
}
