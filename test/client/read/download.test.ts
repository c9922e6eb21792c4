import { spawnSync } from 'node:child_process'
import {
  chmod,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Progress } from '../../../src/client/client.ts'
import type { DepotClient } from '../../../src/client/depot-client.ts'
import { digestOf, digestOfHex, hexOf } from '../../../src/model/digest.ts'
import { FakeDepot } from '../fake-depot.ts'
import { clientOf, expectFailure, type TemporaryFolder, temporaryFolder } from '../world.ts'

const LARGE = Buffer.alloc(500_000, 'depot ')
const FILES = { 'README.md': 'read me', 'bin/run.sh': '#!/bin/sh', 'lib/deep/er/data.bin': LARGE, empty: '' }
const WANTED = { channel: 'stable', name: 'tool', version: '1.0.0' }

interface Scene extends AsyncDisposable {
  readonly depot: FakeDepot
  readonly client: DepotClient
  readonly folder: TemporaryFolder
  /** Where downloads go: below the temporary folder, so that what escapes can be seen. */
  readonly path: string
}

async function scene(
  files: Readonly<Record<string, Buffer | string>> = FILES,
  more: object = {},
): Promise<Scene> {
  const depot = await FakeDepot.start()
  depot.commit([depot.release('tool', '1.0.0', files, more)])
  const folder = await temporaryFolder()
  return {
    depot,
    folder,
    client: clientOf(depot).client,
    path: join(folder.path, 'target'),
    async [Symbol.asyncDispose]() {
      await depot[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}

async function run({ client, path }: Scene, more: object = {}): Promise<unknown> {
  return await (await client.session()).download({ ...WANTED, folder: path, ...more })
}

function blobsAsked({ depot }: Scene): number {
  const digests = depot.asked.flatMap((asked) => /\/o\/sha256\/(.+)$/.exec(asked)?.[1] ?? [])
  return digests.filter((hex) => !depot.nodes.has(digestOfHex(hex))).length
}

async function everythingIn(path: string): Promise<string[]> {
  const found = await readdir(path, { recursive: true, withFileTypes: true })
  return found.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name))
}

describe('a download into a folder', () => {
  it('has the bytes and permissions of every file, and nothing else', async () => {
    await using world = await scene()
    const seen: Progress[] = []
    await run(world, { onProgress: (progress: Progress) => seen.push(progress) })
    expect((await everythingIn(world.path)).toSorted()).toEqual(
      Object.keys(FILES)
        .map((path) => join(world.path, path))
        .toSorted(),
    )
    expect((await readFile(join(world.path, 'lib/deep/er/data.bin'))).equals(LARGE)).toBe(true)
    expect((await stat(join(world.path, 'bin/run.sh'))).mode & 0o7777).toBe(0o755)
    const total = Object.values(FILES).reduce((sum, bytes) => sum + Buffer.byteLength(bytes), 0)
    expect(seen.at(-1)).toEqual({ done: total, total })
    expect(seen.every(({ done }, at) => at === 0 || done >= (seen[at - 1]?.done ?? 0))).toBe(true)
  })

  it('keeps what is there and right, and replaces what is not', async () => {
    await using world = await scene()
    await run(world)
    const before = blobsAsked(world)
    const old = join(world.path, 'README.md')
    await utimes(old, 1, 1)
    await writeFile(join(world.path, 'bin/run.sh'), '#!/bin/no')
    await chmod(join(world.path, 'bin/run.sh'), 0o644)
    await writeFile(join(world.path, 'lib/deep/er/data.bin'), 'short')
    await writeFile(join(world.path, 'mine'), 'not in the release')
    await run(world)
    expect(blobsAsked(world)).toBe(before + 2)
    expect((await stat(old)).mtimeMs).toBe(1_000)
    expect(await readFile(join(world.path, 'bin/run.sh'), 'utf8')).toBe('#!/bin/sh')
    expect((await stat(join(world.path, 'bin/run.sh'))).mode & 0o777).toBe(0o755)
    expect(await readFile(join(world.path, 'mine'), 'utf8')).toBe('not in the release')
  })

  it('puts only the permissions right where only those are wrong', async () => {
    await using world = await scene()
    await run(world)
    const before = blobsAsked(world)
    await chmod(join(world.path, 'bin/run.sh'), 0o600)
    await run(world)
    expect(blobsAsked(world)).toBe(before)
    expect((await stat(join(world.path, 'bin/run.sh'))).mode & 0o777).toBe(0o755)
  })

  it('never makes a file set-user-id', async () => {
    const bytes = 'x'
    const files = [{ path: 'su', digest: digestOf(bytes), size: 1, mode: 0o4755 }]
    await using world = await scene({}, { files })
    world.depot.blobs.set(digestOf(bytes), Buffer.from(bytes))
    await run(world)
    await run(world)
    expect((await stat(join(world.path, 'su'))).mode & 0o7777).toBe(0o755)
    expect(blobsAsked(world)).toBe(1)
  })

  it('takes only the files of one system', async () => {
    const file = (path: string, more: object = {}): object => ({
      path,
      digest: digestOf(path),
      size: path.length,
      ...more,
    })
    const files = [
      file('all'),
      file('linux', { os: 'linux' }),
      file('arm', { os: 'linux', cpu: 'arm64' }),
      file('mac', { os: 'darwin' }),
    ]
    await using world = await scene({}, { files })
    for (const path of ['all', 'linux', 'arm', 'mac'])
      world.depot.blobs.set(digestOf(path), Buffer.from(path))
    await run(world, { os: 'linux', cpu: 'x64' })
    expect((await readdir(world.path)).toSorted()).toEqual(['all', 'linux'])
    await run(world)
    expect((await readdir(world.path)).length).toBe(4)
  })

  it('goes on through a connection that breaks half-way', async () => {
    await using world = await scene()
    let broken = 0
    world.depot.takeOver = ({ url, response, request }) => {
      if (!url.pathname.endsWith(hexOf(digestOf(LARGE))) || request.headers.range !== undefined) return false
      broken += 1
      response.writeHead(200, { 'depot-generation': 'any', 'content-length': LARGE.length })
      response.write(LARGE.subarray(0, 200_000), () => setTimeout(() => response.destroy(), 5))
      return true
    }
    await run(world)
    expect(broken).toBe(1)
    expect((await readFile(join(world.path, 'lib/deep/er/data.bin'))).equals(LARGE)).toBe(true)
  })

  it('of lying bytes leaves nothing of them, and keeps what was there', async () => {
    await using world = await scene()
    await mkdir(join(world.path, 'lib/deep/er'), { recursive: true })
    await writeFile(join(world.path, 'lib/deep/er/data.bin'), 'as it was')
    world.depot.blobs.set(digestOf(LARGE), Buffer.alloc(LARGE.length, 'lies'))
    await expectFailure(run(world), 'digest-mismatch')
    expect(await readFile(join(world.path, 'lib/deep/er/data.bin'), 'utf8')).toBe('as it was')
    expect((await everythingIn(world.path)).filter((path) => path.includes('.depot-'))).toEqual([])
  })

  it('can be aborted, and leaves no half files', async () => {
    await using world = await scene()
    const stop = new AbortController()
    const reason = new Error('enough')
    world.depot.takeOver = ({ url, response }) => {
      if (!url.pathname.endsWith(hexOf(digestOf(LARGE)))) return false
      response.writeHead(200, { 'depot-generation': 'any' }).write(LARGE.subarray(0, 100_000))
      setTimeout(() => stop.abort(reason), 20)
      return true
    }
    const session = await world.client.session()
    await expect(session.download({ ...WANTED, folder: world.path }, stop.signal)).rejects.toBe(reason)
    expect((await everythingIn(world.path)).filter((path) => path.includes('.depot-'))).toEqual([])
  })
})

describe('a folder with traps in it', () => {
  it('with a link in the place of a folder is not followed out', async () => {
    await using world = await scene()
    const outside = join(world.folder.path, 'outside')
    await mkdir(outside)
    await mkdir(world.path)
    await symlink(outside, join(world.path, 'lib'))
    await expectFailure(run(world), 'path-invalid')
    expect(await readdir(outside)).toEqual([])
    expect(await readlink(join(world.path, 'lib'))).toBe(outside)
  })

  it('with a link to nowhere in the place of a folder does not make that place', async () => {
    await using world = await scene()
    await mkdir(world.path)
    await symlink(join(world.folder.path, 'made'), join(world.path, 'lib'))
    await expectFailure(run(world), 'path-invalid')
    expect(await readdir(world.folder.path)).toEqual(['target'])
  })

  it('with a link in the place of a file has the link replaced, not what it leads to', async () => {
    await using world = await scene()
    const outside = join(world.folder.path, 'secret')
    await writeFile(outside, 'read me')
    await chmod(outside, 0o600)
    await mkdir(world.path)
    await symlink(outside, join(world.path, 'README.md'))
    await symlink(join(world.folder.path, 'nowhere'), join(world.path, 'empty'))
    await run(world)
    expect((await lstat(join(world.path, 'README.md'))).isFile()).toBe(true)
    expect((await stat(outside)).mode & 0o777).toBe(0o600)
    expect((await readdir(world.folder.path)).toSorted()).toEqual(['secret', 'target'])
  })

  it('with a second name of a file outside does not change the other one', async () => {
    await using world = await scene()
    const outside = join(world.folder.path, 'script')
    await writeFile(outside, '#!/bin/sh')
    await chmod(outside, 0o600)
    await mkdir(join(world.path, 'bin'), { recursive: true })
    await link(outside, join(world.path, 'bin/run.sh'))
    await run(world)
    expect((await stat(outside)).mode & 0o777).toBe(0o600)
    expect((await stat(join(world.path, 'bin/run.sh'))).mode & 0o777).toBe(0o755)
  })

  it('with a pipe in the place of a file does not wait for it', async () => {
    await using world = await scene()
    await mkdir(world.path)
    expect(spawnSync('sh', ['-c', 'mkfifo "$0"', join(world.path, 'README.md')]).status).toBe(0)
    await run(world)
    expect(await readFile(join(world.path, 'README.md'), 'utf8')).toBe('read me')
  })

  it('with a folder in the place of a file, or a file in that of a folder, says so', async () => {
    await using world = await scene()
    await mkdir(join(world.path, 'README.md'), { recursive: true })
    await expectFailure(run(world), 'data-unusable')
    await using other = await scene()
    await mkdir(other.path)
    await writeFile(join(other.path, 'lib'), '')
    await expectFailure(run(other), 'path-invalid')
  })

  it('may itself be behind a link, as its owner wanted', async () => {
    await using world = await scene()
    await mkdir(join(world.folder.path, 'real'))
    await symlink(join(world.folder.path, 'real'), world.path)
    await run(world)
    expect((await readdir(join(world.folder.path, 'real'))).length).toBe(4)
  })

  it('that cannot be made is told', async () => {
    await using world = await scene()
    await writeFile(world.path, 'a file')
    await expectFailure(run(world), 'data-unusable')
  })
})
