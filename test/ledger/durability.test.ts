/**
 * L1 on a slow disk and on a full one.
 */
import { execFile } from 'node:child_process'
import { appendFile, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it, type TestContext, vi } from 'vitest'
import type { OpenLedger } from '../../src/ledger/open.ts'
import { isFailure } from '../../src/model/errors.ts'
import type { Generation } from '../../src/model/generation.ts'
import { smallDisk } from '../support/small-disk.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { flipAfter, flipped, openedLedger, openedStore, openStage } from './a-ledger.ts'

const run = promisify(execFile)
const SLOW_CHILD = fileURLToPath(new URL('./slow-disk-child.ts', import.meta.url))
const BROKEN_CHILD = fileURLToPath(new URL('./broken-disk-child.ts', import.meta.url))
const DELAY_MS = 100

describe('a generation', () => {
  it('can be read by nobody before the disk has it (L1)', async (context) => {
    await using folder = await temporaryFolder()
    const strace = ['-f', '-qq', '-o', join(folder.path, 'trace'), '-e', 'trace=fdatasync']
    const slow = ['-e', `inject=fdatasync:delay_enter=${DELAY_MS * 1_000}`]
    await straceWorks(context)
    const child = [process.execPath, SLOW_CHILD, join(folder.path)]
    const { stdout } = await run('strace', [...strace, ...slow, ...child])
    const { readAfter, headAfter, acknowledgedAfter } = JSON.parse(stdout) as Record<string, number>
    expect(readAfter).toBeGreaterThanOrEqual(DELAY_MS)
    expect(headAfter).toBeGreaterThanOrEqual(DELAY_MS)
    expect(acknowledgedAfter).toBeGreaterThanOrEqual(DELAY_MS)
  })
})

describe('a disk that fails while the ledger is written', () => {
  it.for([1, 2, 3, 5, 6, 7, 8])(
    'at write %d leaves nobody waiting, and the head where it was',
    async (at, context) => {
      await using folder = await temporaryFolder()
      await straceWorks(context)
      await (await openedLedger(folder.path))[Symbol.asyncDispose]()
      const strace = ['-f', '-qq', '-o', join(folder.path, 'trace'), '-e', 'trace=pwrite64']
      const broken = [
        '-e',
        `inject=pwrite64:error=EIO:when=${at}`,
        process.execPath,
        BROKEN_CHILD,
        folder.path,
      ]
      const { stdout } = await run('strace', [...strace, ...broken], {
        timeout: 20_000,
        env: { ...process.env, UV_THREADPOOL_SIZE: '1' }, // strace counts the calls of each thread
      })
      const { outcomes, head } = JSON.parse(stdout) as { outcomes: readonly string[]; head?: number }
      const flips = outcomes.filter((_, place) => place % 2 === 0)
      expect(outcomes).toContain('data-unusable')
      expect(outcomes.filter((one) => one !== 'done' && one !== 'data-unusable')).toEqual([])
      expect(head).toBe(flips.includes('done') ? flips.filter((one) => one === 'done').length - 1 : undefined)
      await using ledger = await openedLedger(folder.path)
      expect(ledger.generations.head()?.record.number).toBe(head)
    },
  )
})

describe('on a full disk', () => {
  beforeEach(() => {
    vi.spyOn(console, 'error').mockImplementation(() => undefined) // lmdb-js tells every failed commit
  })
  afterEach(() => {
    vi.restoreAllMocks()
  })

  it('a flip fails with `disk-full`, reading goes on, and with room again the next flip works', async (context) => {
    await using folder = await smallDisk(context, 'size=72m')
    const ledger = await openedLedger(folder.path)
    await flipped(ledger, 3)
    const stage = await openStage(ledger)
    await fill(folder.path)

    const head = await flipUntilFull(ledger)
    expect(ledger.generations.head()).toEqual(head)
    expect(ledger.generations.list({ kind: 'newest' }, 1)).toEqual([head])
    expect(ledger.generations.get(head.gid)).toEqual(head)
    expect(ledger.stages.get(stage)?.state).toBe('open')

    const rows = Array.from({ length: 5_000 }, (_, at) => ({
      channel: 'a',
      key: `name-${at}\u00001`,
      value: '{}',
    }))
    const flip = flipAfter(head, { message: 'x'.repeat(3_000) })
    const all = [
      ledger.changes.write(stage, rows),
      ledger.changes.write(stage, rows),
      ledger.generations.flip(flip),
      openStage(ledger, 's2'),
    ]
    const codes = (await Promise.allSettled(all)).map(
      (one) => one.status === 'rejected' && codeOf(one.reason),
    )
    expect(codes).toEqual(all.map(() => 'disk-full'))
    expect(ledger.changes.count(stage)).toBe(0)
    expect(ledger.stages.get(stage)?.edition).toBe(0)

    await rm(join(folder.path, 'filler'))
    await ledger.changes.write(stage, rows)
    const next = await ledger.generations.flip(flipAfter(head, { stage: { id: stage, edition: 1 } }))
    await ledger[Symbol.asyncDispose]()
    await using again = await openedLedger(folder.path)
    expect(again.generations.head()).toEqual(next)
  })

  it('a ledger can still be opened, read and closed', async (context) => {
    await using folder = await smallDisk(context, 'size=2m')
    const before = await openedLedger(folder.path)
    const head = await flipped(before, 3)
    const stage = await openStage(before)
    await before[Symbol.asyncDispose]()
    await fill(folder.path)

    await using after = await openedLedger(folder.path)
    expect(after.generations.head()).toEqual(head)
    after.stages.touch(stage, Date.now())
  })

  it('a new ledger is refused with the reason', async (context) => {
    await using folder = await smallDisk(context, 'size=2m')
    await fill(folder.path)
    await expect(openedLedger(folder.path)).rejects.toMatchObject({ code: 'disk-full' })
  })
})

describe('a ledger that cannot be read', () => {
  it.each([
    ['junk', Buffer.alloc(65_536, 'junk')],
    ['zeros', Buffer.alloc(65_536)],
  ])('because it is %s is refused with `data-unusable`, and the process lives', async (_what, bytes) => {
    await using folder = await temporaryFolder()
    await appendFile(join(folder.path, 'ledger.lmdb'), bytes)
    await expect(openedLedger(folder.path)).rejects.toMatchObject({ code: 'data-unusable' })
  })

  it('because a record in it is damaged is refused too', async () => {
    await using folder = await temporaryFolder()
    await (await openedLedger(folder.path))[Symbol.asyncDispose]()
    const store = await openedStore(folder.path)
    await store.write([[store.tables.tokens, Buffer.from('t1'), Buffer.from('{')]])
    await store[Symbol.asyncDispose]()
    await expect(openedLedger(folder.path)).rejects.toMatchObject({ code: 'data-unusable' })
  })

  it('because one of its first pages is damaged, or there is no folder, is refused too', async () => {
    await using folder = await temporaryFolder()
    const ledger = await openedLedger(folder.path)
    await flipped(ledger, 3)
    await ledger[Symbol.asyncDispose]()
    const file = join(folder.path, 'ledger.lmdb')
    const bytes = await readFile(file)
    await writeFile(file, bytes.fill(0, 4_096, 8_192))
    await expect(openedLedger(folder.path)).rejects.toMatchObject({ code: 'data-unusable' })
    await expect(openedLedger(join(folder.path, 'nowhere'))).rejects.toMatchObject({ code: 'data-unusable' })
  })
})

describe('a ledger whose first start was cut short', () => {
  it.each([0, 30, 4_096, 8_192])('and left %d bytes begins anew', async (left) => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'ledger.lmdb')
    await using whole = await temporaryFolder()
    await (await openedLedger(whole.path))[Symbol.asyncDispose]()
    const bytes = await readFile(join(whole.path, 'ledger.lmdb'))
    await writeFile(file, left === 8_192 ? Buffer.alloc(left) : bytes.subarray(0, left))
    await using ledger = await openedLedger(folder.path)
    await flipped(ledger, 1)
  })
})

describe('a ledger that is being closed', () => {
  it('finishes what is under way and refuses what comes later', async () => {
    await using folder = await temporaryFolder()
    const before = await openedLedger(folder.path)
    const stage = await openStage(before)
    const flip = flipAfter(undefined)
    const flipping = before.generations.flip(flip)
    const writing = before.changes.write(stage, [{ channel: 'a', key: 'a\u00001', value: '{}' }])
    const closing = before[Symbol.asyncDispose]()
    await Promise.all([flipping, writing, closing])
    await expect(before.generations.flip(flipAfter(await flipping))).rejects.toMatchObject({
      code: 'draining',
    })
    await before[Symbol.asyncDispose]()

    await using after = await openedLedger(folder.path)
    expect(after.generations.head()?.gid).toBe(flip.gid)
    expect(after.changes.count(stage)).toBe(1)
  })
})

async function flipUntilFull(ledger: OpenLedger): Promise<Generation> {
  for (let tries = 0; tries < 1_000; tries += 1) {
    const head = ledger.generations.head()!
    try {
      await ledger.generations.flip(flipAfter(head, { message: 'x'.repeat(3_000) }))
    } catch (error) {
      expect(codeOf(error)).toBe('disk-full')
      return head
    }
  }
  throw new Error('the disk was never full')
}

async function fill(path: string): Promise<void> {
  for (const size of [65_536, 4_096])
    try {
      for (;;) await appendFile(join(path, 'filler'), Buffer.alloc(size))
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOSPC' })
    }
}

function codeOf(error: unknown): string {
  return isFailure(error) ? error.code : String(error)
}

async function straceWorks(context: TestContext): Promise<void> {
  try {
    await run('strace', ['-qq', 'true'])
  } catch (error) {
    if (process.env['CI'] === 'true') throw error
    context.skip(`strace does not work here: ${String(error)}`)
  }
}
