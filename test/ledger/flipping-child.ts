/**
 * A depot that commits one stage after the other until it is killed: `node flipping-child.ts <folder> <name>`.
 *
 * It writes the id of every acknowledged generation, with its stage, as one line, and nothing else.
 */
import { writeSync } from 'node:fs'
import { digestOf } from '../../src/model/digest.ts'
import { FIRST_MS, flipAfter, openedLedger, openStage } from './a-ledger.ts'

const [path = '', name = ''] = process.argv.slice(2)
const ledger = await openedLedger(path, { now: () => Date.now(), monotonic: () => performance.now() })
for (let at = 0; ; at += 1) {
  const id = await openStage(ledger, `${name}-${at}`)
  const rows = Array.from({ length: 50 }, (_, n) => ({ channel: 'a', key: `name-${n}\0${at}`, value: '{}' }))
  await ledger.changes.write(id, rows)
  await ledger.blobs.lease(id, [digestOf(id)])
  const flip = flipAfter(ledger.generations.head(), { stage: { id, edition: 1 } })
  const key = {
    token: 'token-1',
    stage: id,
    key: 'key',
    bodyDigest: digestOf(id),
    gid: flip.gid,
    changed: true,
    atMs: FIRST_MS,
  }
  const { gid } = await ledger.generations.flip({ ...flip, idempotency: key })
  writeSync(1, `${gid} ${id}\n`)
}
