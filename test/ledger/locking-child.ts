/**
 * A process that takes and gives back the lock of a folder as it is told: `node locking-child.ts <folder>`.
 *
 * For each line "lock" on its input it answers "won" or the code of the failure with its reason; for each "free", "freed".
 */
import { randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import { lockFolder } from '../../src/ledger/folder-lock.ts'
import { isFailure } from '../../src/model/errors.ts'

const [path = ''] = process.argv.slice(2)
let lock: AsyncDisposable | undefined
process.stdout.write('ready\n')
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${line === 'lock' ? await locked() : await freed()}\n`)
}

async function locked(): Promise<string> {
  try {
    lock = await lockFolder(path, { random: { bytes: (count) => randomBytes(count) } })
    return 'won'
  } catch (error) {
    return isFailure(error) ? `${error.code} ${error.message}` : String(error)
  }
}

async function freed(): Promise<string> {
  await lock?.[Symbol.asyncDispose]()
  lock = undefined
  return 'freed'
}
