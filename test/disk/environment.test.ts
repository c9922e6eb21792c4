/**
 * An environment is closed for everybody who asked for it, also when its disk failed.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it, type TestContext } from 'vitest'
import { Environment } from '../../src/disk/environment.ts'
import { DiskRoom } from '../../src/disk/room.ts'
import { realClock } from '../support/real-world.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const run = promisify(execFile)
const CHILD = fileURLToPath(new URL('./losing-child.ts', import.meta.url))

async function opened(folder: string): Promise<Environment> {
  return await Environment.open({ folder, file: 'a.lmdb', room: DiskRoom.on(folder, realClock) })
}

it('who closes it second waits for the first', async () => {
  await using folder = await temporaryFolder()
  const environment = await opened(folder.path)
  const table = environment.table<Buffer>('rows')
  let isWritten = false
  const writing = environment
    .batch(() => void table.put(Buffer.from('a'), Buffer.from('b')), { bytes: 8_192, purpose: 'commit' })
    .then(() => {
      isWritten = true
    })
  const first = environment.close()
  await environment.close()
  expect(isWritten).toBe(true)
  await Promise.all([writing, first])
  expect(() => table.get(Buffer.from('a'))).toThrow()
})

it.for([
  { at: 2, atOnce: 1, mapped: [false] },
  { at: 4, atOnce: 1, mapped: [false] },
  // lmdb-js waits for the other writes, which never end; then it is left open, for there is no other way.
  { at: 1, atOnce: 8, mapped: [false, true] },
])('one that was given up at write $at of $atOnce at once is closed too', async (how, context) => {
  await straceWorks(context)
  await using folder = await temporaryFolder()
  const begun = await opened(folder.path)
  begun.table('rows')
  await begun.close()
  const { outcomes, mapped } = await losing(folder.path, how.at, how.atOnce)
  expect(outcomes.at(-1)).toBe('data-unusable')
  expect(how.mapped).toContain(mapped)
})

async function losing(
  folder: string,
  at: number,
  atOnce: number,
): Promise<{ readonly outcomes: readonly string[]; readonly mapped: boolean }> {
  const words = ['-f', '-qq', '-o', join(folder, 'trace'), '-e', 'trace=pwrite64']
  const broken = ['-e', `inject=pwrite64:error=EIO:when=${at}`, process.execPath, CHILD, folder, `${atOnce}`]
  const { stdout } = await run('strace', [...words, ...broken], {
    timeout: 20_000,
    env: { ...process.env, UV_THREADPOOL_SIZE: '1' }, // strace counts the calls of each thread
  })
  return JSON.parse(stdout) as { outcomes: readonly string[]; mapped: boolean }
}

async function straceWorks(context: TestContext): Promise<void> {
  try {
    await run('strace', ['-qq', 'true'])
  } catch (error) {
    if (process.env['CI'] === 'true') throw error
    context.skip(`strace does not work here: ${String(error)}`)
  }
}
