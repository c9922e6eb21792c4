/**
 * A depot that is killed in the middle of its very first start: the next start makes a whole depot of what is there,
 * and somebody can administrate it.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type FSWatcher, watch } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { publish } from '../support/publish.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { BIN, served } from './served.ts'

/** A first start makes some seventy changes; it is one or two further anyway when the signal comes. */
const STEP = 5
const MOST = 150

it('kill -9 after any change of the first start leaves nothing that the next one cannot use', async () => {
  let changes = 1
  for (let listened = false; !listened; changes += STEP) {
    expect(changes).toBeLessThan(MOST)
    await using folder = await temporaryFolder()
    listened = (await killedAfter(changes, folder.path)) === 'listens'
    await using depot = await served({ data: join(folder.path, 'data') })
    const { record } = await publish(depot.client, { name: 'hello', version: '1.0.0' })
    expect([changes, record.number]).toEqual([changes, 1])
    expect((await depot.client.createToken({ label: 'ci', scopes: ['read'] })).token).toMatch(/^depot_/)
  }
  expect(changes).toBeGreaterThan(20)
}, 240_000)

/** Starts a depot in the folder `data`, which is not there, and kills it after so many changes, or when it listens. */
async function killedAfter(changes: number, folder: string): Promise<'killed' | 'listens'> {
  const data = join(folder, 'data')
  const watchers: FSWatcher[] = []
  let seen = 0
  const see = (): void => {
    seen += 1
    if (seen >= changes) child.kill('SIGKILL')
  }
  const above = watch(folder, () => {
    if (watchers.length === 1) watchers.push(watch(data, see))
    see()
  })
  watchers.push(above)
  const words = [BIN, 'serve', '--json', '--data', data, '--listen', '127.0.0.1:0']
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'ignore'], cwd: folder })
  child.stdout.once('data', () => child.kill('SIGKILL'))
  await once(child, 'exit')
  for (const watcher of watchers) watcher.close()
  return seen < changes ? 'listens' : 'killed'
}
