/**
 * Flips once while its disk is slow, and tells when the new generation could first be read: `node slow-disk-child.ts
 * <folder>`. Meant to run under `strace`, which delays fdatasync.
 */
import { flipAfter, flipped, openedLedger } from './a-ledger.ts'

const ledger = await openedLedger(process.argv[2] ?? '')
const next = flipAfter(await flipped(ledger, 1))
const begun = performance.now()
let readAfter: number | undefined
let headAfter: number | undefined
let acknowledgedAfter: number | undefined
const flipping = ledger.generations.flip(next).then(() => {
  acknowledgedAfter = performance.now() - begun
})
while (acknowledgedAfter === undefined || readAfter === undefined || headAfter === undefined) {
  const now = performance.now() - begun
  if (ledger.generations.get(next.gid) !== undefined) readAfter ??= now
  if (ledger.generations.head()?.gid === next.gid) headAfter ??= now
  await new Promise((resolve) => setImmediate(resolve))
}
await flipping
await ledger[Symbol.asyncDispose]()
process.stdout.write(JSON.stringify({ readAfter, headAfter, acknowledgedAfter }))
