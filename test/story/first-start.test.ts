/**
 * A depot that is killed in the middle of its very first start: the next start makes a whole depot of what is there,
 * and somebody can administrate it.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { watch } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { publish } from '../support/publish.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { BIN, served } from './served.ts'

const ROUNDS = 6

it('kill -9 at any moment of the first start leaves nothing that the next one cannot use', async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    await using folder = await temporaryFolder()
    const data = join(folder.path, 'data')
    const watcher = watch(folder.path)
    const appeared = once(watcher, 'change')
    const words = [BIN, 'serve', '--data', data, '--listen', '127.0.0.1:0']
    const child = spawn(process.execPath, words, { stdio: 'ignore', cwd: folder.path })
    const ended = once(child, 'exit')
    await appeared
    watcher.close()
    // From its first file to the moment when it listens takes some 80 ms.
    await sleep(round * 12 + Math.random() * 12)
    child.kill('SIGKILL')
    await ended
    await using depot = await served({ data })
    const { record } = await publish(depot.client, { name: 'hello', version: '1.0.0' })
    expect([round, record.number]).toEqual([round, 1])
    expect((await depot.client.createToken({ label: 'ci', scopes: ['read'] })).token).toMatch(/^depot_/)
  }
})
