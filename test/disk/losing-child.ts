/**
 * Writes until the disk fails for good, closes, and tells how that went: `node losing-child.ts <folder> <how many
 * writes go at once>`. Meant to run under `strace`, which makes a write of a meta page fail.
 */
import { readFileSync } from 'node:fs'
import { Environment } from '../../src/disk/environment.ts'
import { DiskRoom } from '../../src/disk/room.ts'
import { isFailure } from '../../src/model/errors.ts'

console.error = () => undefined // lmdb-js tells every failed commit
const [folder = '', atOnce = '1'] = process.argv.slice(2)
const LOAD = { bytes: 65_536, purpose: 'commit' } as const
const clock = { monotonic: () => performance.now() }
const environment = await Environment.open({ folder, file: 'a.lmdb', room: DiskRoom.on(folder, clock) })
const table = environment.table<Buffer>('rows')

async function write(key: string): Promise<string> {
  try {
    await environment.batch(() => void table.put(Buffer.from(key), Buffer.alloc(3_000)), LOAD)
    return 'done'
  } catch (error) {
    return isFailure(error) ? error.code : String(error)
  }
}

const writes: Promise<string>[] = []
for (let at = 0; at < 8; at += 1) {
  writes.push(write(`row ${at}`))
  if (writes.length % Number(atOnce) === 0) await writes.at(-1)
  else await new Promise((resolve) => setImmediate(resolve))
}
const outcomes = await Promise.all(writes)
await environment.close()
const mapped = readFileSync('/proc/self/maps', 'utf8').includes('a.lmdb')
process.stdout.write(JSON.stringify({ outcomes, mapped }), () => process.exit(0))
