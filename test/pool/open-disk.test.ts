/**
 * Opening a data folder: what it makes, what it finishes, and what it tells.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { type Digest, digestOf } from '../../src/model/digest.ts'
import { openDiskStore } from '../../src/pool/open-disk.ts'
import { realClock, realRandom } from '../support/real-world.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { collected, inPieces, listed, someBytes } from './bytes.ts'
import { StoreAtHand } from './disk-store.ts'

const CHILD = fileURLToPath(new URL('./putting-child.ts', import.meta.url))

describe('a data folder', () => {
  it('is for nobody but its owner', async () => {
    await using hand = await StoreAtHand.open()
    const { digest } = await hand.pool.put(someBytes(100_000))
    await hand.store.incoming.append('a', 0, inPieces(someBytes(10)), 10)
    const modeOf = async (path: string): Promise<string> =>
      ((await stat(join(hand.folder.path, path))).mode & 0o777).toString(8)
    expect(await Promise.all(['pool', 'incoming', `pool/${digest.slice(7, 9)}`].map(modeOf))).toEqual([
      '700',
      '700',
      '700',
    ])
    expect(await modeOf('pool.lmdb')).toBe('600')
    expect(await modeOf('incoming/a.incomplete')).toBe('600')
    expect(((await stat(hand.pathOf(digest))).mode & 0o777).toString(8)).toBe('600')
  })

  it('loses the drafts that a dead process has left, and keeps the uploads', async () => {
    await using hand = await StoreAtHand.open()
    const incoming = join(hand.folder.path, 'incoming')
    await writeFile(join(incoming, `put_${'ab'.repeat(16)}.incomplete`), 'begun')
    await writeFile(join(incoming, 'somebody-elses.txt'), 'kept')
    await hand.store.incoming.append('a', 0, inPieces(someBytes(10)), 10)
    await hand.restart()
    expect((await readdir(incoming)).sort()).toEqual(['a.incomplete', 'somebody-elses.txt'])
    expect(await listed(hand.store.incoming.list())).toMatchObject([{ id: 'a', size: 10 }])
  })

  it('that is damaged is told of, with what is wrong', async () => {
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'pool.lmdb'), someBytes(100_000))
    await expect(openDiskStore(folder.path, { clock: realClock, random: realRandom })).rejects.toMatchObject({
      code: 'data-unusable',
      details: { folder: folder.path },
    })
  })

  it('tells its sizes', async () => {
    await using hand = await StoreAtHand.open()
    const before = hand.store.sizes()
    await hand.pool.putAll(Array.from({ length: 100 }, (_, at) => someBytes(5_000, at)))
    const after = hand.store.sizes()
    expect(after.tables['blobs']?.rows).toBe(100)
    expect(after.usedBytes - before.usedBytes).toBeGreaterThan(500_000)
    expect(after.fileBytes).toBeGreaterThanOrEqual(after.usedBytes)
    await hand.pool.remove((await listed(hand.pool.list())).map(({ digest }) => digest))
    expect(hand.store.sizes().usedBytes).toBeLessThan(after.usedBytes - 500_000)
  })

  it('refuses work after it was closed', async () => {
    await using hand = await StoreAtHand.open()
    await hand.store.close()
    await hand.store.close()
    await expect(hand.pool.put(someBytes(10))).rejects.toThrow()
    await hand.restart()
  })
})

describe('a process that is killed', () => {
  it('leaves everything that it was told to be durable, and nothing damaged (P1, P4, N1)', async () => {
    await using folder = await temporaryFolder()
    await chmod(folder.path, 0o700)
    for (const lines of [5, 60]) {
      const child = spawn(process.execPath, [CHILD, folder.path, String(lines)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const told: Digest[] = []
      for await (const line of createInterface({ input: child.stdout })) {
        told.push(line as Digest)
        if (told.length === lines) child.kill('SIGKILL')
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      expect(child.signalCode).toBe('SIGKILL')

      await using store = await openDiskStore(folder.path, { clock: realClock, random: realRandom })
      for (const digest of told) expect(await digestIn(store, digest)).toBe(digest)
      for await (const { digest } of store.pool.list()) expect(await digestIn(store, digest)).toBe(digest)
      for await (const { digest } of store.nodes.list())
        expect(digestOf(await store.nodes.read(digest))).toBe(digest)
    }
  })
})

async function digestIn(
  store: Awaited<ReturnType<typeof openDiskStore>>,
  digest: Digest,
): Promise<Digest | undefined> {
  if (store.nodes.has(digest)) return digestOf(await store.nodes.read(digest))
  const blob = await store.pool.open(digest)
  return blob === undefined ? undefined : digestOf(await collected(blob.read()))
}
