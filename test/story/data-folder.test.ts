/**
 * What a depot does with a data folder that it cannot use: it says why in a sentence, ends, and leaves everything as it
 * was.
 */
import { chmod, chown, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DiskRoom } from '../../src/disk/room.ts'
import { openLedger } from '../../src/ledger/open.ts'
import { publish } from '../support/publish.ts'
import { realClock } from '../support/real-world.ts'
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts'
import { refused, served } from './served.ts'

const NOBODY = 65_534

let folder: TemporaryFolder
let data = ''

beforeEach(async () => {
  folder = await temporaryFolder()
  data = join(folder.path, 'data')
})
afterEach(async () => {
  await folder[Symbol.asyncDispose]()
})

describe('a new data folder', () => {
  it('is made, is nobody else to read, and has the token of its admin', async () => {
    await using depot = await served({ data })
    const modes = async (name: string): Promise<number> => (await stat(join(data, name))).mode & 0o777
    expect(await modes('.')).toBe(0o700)
    expect(await modes('admin.token')).toBe(0o600)
    for (const name of ['pool', 'incoming']) expect(await modes(name)).toBe(0o700)
    for (const name of ['pool.lmdb', 'ledger.lmdb']) expect(await modes(name)).toBe(0o600)
    expect(depot.token).toMatch(/^depot_[\w-]{43}$/)
    expect((await depot.end('SIGTERM')).code).toBe(0)
  })
})

describe('two processes on one data folder', () => {
  it('the second is refused, and the first goes on', async () => {
    await using first = await served({ data })
    const second = await refused({ data })
    expect(second.code).toBe(1)
    expect(second.log).toContain(`a depot is already running on ${data}`)
    const { gid } = await publish(first.client, { name: 'hello', version: '1.0.0' })
    expect((await first.client.head()).gid).toBe(gid)
  })

  it('of many that start at once exactly one runs', async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 4 }, async () => await served({ data })))
    const running = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
    expect(running.length).toBe(1)
    for (const outcome of outcomes)
      if (outcome.status === 'rejected') expect(String(outcome.reason)).toContain('already running')
    for (const depot of running) await depot[Symbol.asyncDispose]()
  })

  it('after a kill -9 the next one starts', async () => {
    const first = await served({ data })
    const { gid } = await publish(first.client, { name: 'hello', version: '1.0.0' })
    await first.end('SIGKILL')
    await using second = await served({ data })
    expect((await second.client.head()).gid).toBe(gid)
  })
})

describe.runIf(process.getuid?.() === 0)('another user', () => {
  it('without the right to write is told so, and changes nothing', async () => {
    {
      await using depot = await served({ data })
      await publish(depot.client, { name: 'hello', version: '1.0.0' })
      await depot.end('SIGTERM')
    }
    for (const path of [folder.path, data]) await chmod(path, 0o755)
    const before = await contentsOf(data)
    const outcome = await refused({ data, uid: NOBODY })
    expect(outcome.code).toBe(1)
    expect(outcome.log).toMatch(/^depot: .*cannot be used.*$/m)
    expect(outcome.log).toContain(data)
    expect(outcome.log).not.toMatch(/^\s+at /m)
    expect(await contentsOf(data)).toEqual(before)
    await using again = await served({ data })
    expect((await again.client.head()).record.number).toBe(1)
  })

  it('who may not even make it is told so', async () => {
    const outcome = await refused({ data, uid: NOBODY })
    expect([outcome.code, outcome.log]).toEqual([1, expect.stringContaining(data)])
    expect(outcome.log).not.toMatch(/^\s+at /m)
  })

  it('who owns the folder runs it', async () => {
    await mkdir(data)
    await chown(data, NOBODY, NOBODY)
    await chmod(folder.path, 0o755)
    await using depot = await served({ data, uid: NOBODY })
    await publish(depot.client, { name: 'hello', version: '1.0.0' })
    expect((await stat(join(data, 'admin.token'))).uid).toBe(NOBODY)
  })
})

describe('a data folder of a newer depot', () => {
  it('is refused and left as it is', async () => {
    await (await served({ data })).end('SIGTERM')
    const path = join(data, 'format.json')
    const format = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>
    const numbers = Object.entries(format).filter(([, value]) => typeof value === 'number')
    await writeFile(path, JSON.stringify({ ...format, [numbers[0]![0]]: 999 }))
    const before = await contentsOf(data)
    const outcome = await refused({ data })
    expect(outcome.code).toBe(1)
    expect(outcome.log).toContain('has format 999')
    expect(await contentsOf(data)).toEqual(before)
  })
})

describe('a data folder that has lost its ledger', () => {
  it.each([
    ['is not there', async (path: string) => await rm(path)],
    ['is empty', async (path: string) => await truncate(path)],
    ['has no generation', async (path: string) => await writeFile(path, await emptyLedger())],
  ])('because it %s is refused and left as it is', async (_how, lose) => {
    {
      await using depot = await served({ data })
      await publish(depot.client, { name: 'hello', version: '1.0.0' })
      await depot.end('SIGTERM')
    }
    const path = join(data, 'ledger.lmdb')
    const backup = await readFile(path)
    await lose(path)
    const before = await contentsOf(data)
    for (let time = 0; time < 2; time += 1) {
      const outcome = await refused({ data })
      expect(outcome.code).toBe(1)
      expect(outcome.log).toMatch(/^depot: .*cannot be used.*restore ledger\.lmdb from a backup/m)
      const after = await contentsOf(data)
      // What LMDB notes of who has it open.
      const files = Object.keys(after).filter((name) => !name.endsWith('-lock'))
      expect(files.filter((name) => after[name] !== before[name])).toEqual([])
      expect(Object.keys(after)).toEqual(Object.keys(before))
    }
    await writeFile(path, backup)
    await using again = await served({ data })
    expect((await again.client.head()).record.number).toBe(1)
  })

  /** That of a start that was cut short before its first generation. */
  async function emptyLedger(): Promise<Buffer> {
    const other = join(folder.path, 'other')
    await mkdir(other)
    const room = DiskRoom.on(other, realClock)
    const ledger = await openLedger(other, { clock: realClock, log: { warn: () => undefined }, room })
    await ledger[Symbol.asyncDispose]()
    return await readFile(join(other, 'ledger.lmdb'))
  }
})

describe('an address that is taken', () => {
  it('is told, and the folder is free for the next', async () => {
    await using depot = await served({ data: join(folder.path, 'other') })
    const outcome = await refused({ data, flags: ['--listen', depot.url.replace('http://', '')] })
    expect(outcome.code).toBe(1)
    expect(outcome.log).toMatch(/EADDRINUSE|in use/)
    await using next = await served({ data })
    expect((await next.client.head()).record.number).toBe(0)
  })
})

/** The files directly in the folder, but for locks. */
async function contentsOf(path: string): Promise<Readonly<Record<string, string>>> {
  const contents: Record<string, string> = {}
  for (const entry of await readdir(path, { withFileTypes: true }))
    if (entry.isFile()) contents[entry.name] = await readFile(join(path, entry.name), 'latin1')
  return contents
}
