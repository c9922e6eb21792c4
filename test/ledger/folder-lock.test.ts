/**
 * One process for each data folder: exactly one of those who race for it, and the next one when it dies.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmod, link, mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { lockFolder } from '../../src/ledger/folder-lock.ts'
import { smallDisk } from '../support/small-disk.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const CHILD = fileURLToPath(new URL('./locking-child.ts', import.meta.url))
const NOBODY = 65_534
const random = { bytes: (count: number) => randomBytes(count) }

describe('the lock of a data folder', () => {
  it('makes the folder, for its owner only, and those above it', async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'var/lib/depot')
    await using _lock = await lockFolder(path, { random })
    expect((await stat(path)).mode & 0o777).toBe(0o700)
    expect(await readdir(path)).toEqual([expect.stringMatching(/^lock-[0-9a-f]{16}\.sock$/)])
  })

  it('is held by one at a time, and leaves nothing behind', async () => {
    await using folder = await temporaryFolder()
    const lock = await lockFolder(folder.path, { random })
    await expect(lockFolder(folder.path, { random })).rejects.toMatchObject({ code: 'data-locked' })
    await lock[Symbol.asyncDispose]()
    expect(await readdir(folder.path)).toEqual([])
    await using _again = await lockFolder(folder.path, { random })
  })

  it('has exactly one winner among eight in one process, twenty times', async () => {
    await using folder = await temporaryFolder()
    for (let round = 0; round < 20; round += 1) {
      await deadSocket(folder.path, 'sock')
      const racers = Array.from({ length: 8 }, async () => await lockFolder(folder.path, { random }))
      const settled = await Promise.allSettled(racers)
      const won = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
      expect(won).toHaveLength(1)
      for (const one of settled)
        if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'data-locked' })
      await won[0]![Symbol.asyncDispose]()
      expect(await readdir(folder.path)).toEqual([])
    }
  })

  it('has exactly one winner among three processes, twenty times, over sockets of the dead', async () => {
    await using folder = await temporaryFolder()
    await using one = await Racer.start(folder.path)
    await using two = await Racer.start(folder.path)
    await using three = await Racer.start(folder.path)
    const racers = [one, two, three]
    for (let round = 0; round < 20; round += 1) {
      await deadSocket(folder.path, 'sock')
      await deadSocket(folder.path, 'new')
      const answers = await Promise.all(racers.map(async (racer) => await racer.tell('lock')))
      expect(answers.filter((answer) => answer === 'won')).toHaveLength(1)
      expect(answers.filter((answer) => answer.startsWith('data-locked'))).toHaveLength(2)
      await Promise.all(racers.map(async (racer) => await racer.tell('free')))
    }
  })

  it('is free again when its holder was killed', async () => {
    await using folder = await temporaryFolder()
    await using holder = await Racer.start(folder.path)
    expect(await holder.tell('lock')).toBe('won')
    await expect(lockFolder(folder.path, { random })).rejects.toMatchObject({ code: 'data-locked' })
    await holder.kill('SIGKILL')
    const [stale] = await readdir(folder.path)
    await using _lock = await lockFolder(folder.path, { random })
    expect(await readdir(folder.path)).toHaveLength(1)
    expect(await readdir(folder.path)).not.toContain(stale)
  })

  it('is held by a process that is stopped and answers nothing', async () => {
    await using folder = await temporaryFolder()
    await using holder = await Racer.start(folder.path)
    expect(await holder.tell('lock')).toBe('won')
    holder.signal('SIGSTOP')
    await expect(lockFolder(folder.path, { random })).rejects.toMatchObject({ code: 'data-locked' })
    holder.signal('SIGCONT')
    expect(await holder.tell('free')).toBe('freed')
    await using _lock = await lockFolder(folder.path, { random })
  })

  it('works in a folder with a long path', async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'a'.repeat(120), 'b'.repeat(120))
    await using holder = await Racer.start(path)
    expect(await holder.tell('lock')).toBe('won')
    await expect(lockFolder(path, { random })).rejects.toMatchObject({ code: 'data-locked' })
    expect(await holder.tell('free')).toBe('freed')
    await using _lock = await lockFolder(path, { random })
    expect(await readdir(path)).toHaveLength(1)
  })

  it('minds no other file, and takes away what was left before a name was published', async () => {
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'lock-readme.sock'), '')
    await deadSocket(folder.path, 'new')
    await using _lock = await lockFolder(folder.path, { random })
    expect((await readdir(folder.path)).filter((name) => !/^lock-[0-9a-f]{16}\.sock$/.test(name))).toEqual([
      'lock-readme.sock',
    ])
  })
})

describe('a data folder that cannot be used', () => {
  it('is refused with the reason when it is no folder', async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'file')
    await writeFile(path, '')
    for (const bad of [path, join(path, 'below')])
      await expect(lockFolder(bad, { random })).rejects.toMatchObject({
        code: 'data-unusable',
        details: { reason: expect.stringMatching(/EEXIST|ENOTDIR/) as string },
      })
  })

  it('is refused with the reason when we may not write into it', async ({ skip }) => {
    if (process.getuid?.() !== 0) skip('only root can start a process of another user')
    await using folder = await temporaryFolder()
    await chmod(folder.path, 0o755)
    await using racer = await Racer.start(folder.path, NOBODY)
    expect(await racer.tell('lock')).toMatch(/^data-unusable .*(EACCES|permission denied)/)
    const path = join(folder.path, 'mine')
    await mkdir(path, { mode: 0o700 })
    await using locked = await Racer.start(path, NOBODY)
    expect(await locked.tell('lock')).toMatch(/^data-unusable .*(EACCES|permission denied)/)
  })

  it('is refused with the reason when its file system is read-only', async (context) => {
    await using folder = await smallDisk(context, 'ro', 'size=1m')
    await expect(lockFolder(folder.path, { random })).rejects.toThrow(/EROFS|read-only/)
    await expect(lockFolder(join(folder.path, 'new'), { random })).rejects.toMatchObject({
      code: 'data-unusable',
    })
  })
})

/** A process that races for the lock. */
class Racer implements AsyncDisposable {
  readonly #child: ChildProcessWithoutNullStreams
  readonly #lines: AsyncIterator<string>

  private constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  }

  static async start(path: string, user?: number): Promise<Racer> {
    const racer = new Racer(
      spawn(process.execPath, [CHILD, path], user === undefined ? {} : { uid: user, gid: user }),
    )
    expect(await racer.#line()).toBe('ready')
    return racer
  }

  async tell(word: 'lock' | 'free'): Promise<string> {
    this.#child.stdin.write(`${word}\n`)
    return await this.#line()
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exit = once(this.#child, 'exit')
    this.#child.kill(signal)
    await exit
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill('SIGKILL')
  }

  async #line(): Promise<string> {
    const next = await this.#lines.next()
    return next.done === true ? 'the process ended' : next.value
  }
}

/** What a process leaves that was killed with a socket of this kind. */
async function deadSocket(folder: string, kind: 'sock' | 'new'): Promise<void> {
  const temporary = join(folder, 'living')
  const server = createServer()
  server.listen(temporary)
  await once(server, 'listening')
  await link(temporary, join(folder, `lock-${randomBytes(8).toString('hex')}.${kind}`))
  server.close()
  await once(server, 'close')
}
