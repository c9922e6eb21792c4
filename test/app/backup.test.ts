/**
 * Backups and what is made of them: everything that a depot needs to go on, only what is new, and never over something
 * else. How they bear being killed is in `story/lineage-crash.test.ts`.
 */
import { readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type BackedUp, type BackupWish, backUp } from '../../src/app/lineage/backup.ts'
import { restore } from '../../src/app/lineage/restore.ts'
import { type BackupFinding, verifyBackup } from '../../src/app/lineage/verify.ts'
import type { Generation } from '../../src/model/generation.ts'
import type { TokenBody } from '../../src/wire/bodies.ts'
import { publish } from '../support/publish.ts'
import { runningDepot, type TestDepot } from '../support/running-depot.ts'
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts'

const log = { warn: () => undefined }
const { signal } = new AbortController()
const LARGE = 200_000

let depot: TestDepot
let folder: TemporaryFolder
let to: string

beforeEach(async () => {
  folder = await temporaryFolder()
  to = join(folder.path, 'backup')
  depot = await runningDepot()
})
afterEach(async () => {
  await depot[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

async function backedUp(more: Partial<BackupWish> = {}): Promise<BackedUp> {
  const { url, token, data } = depot
  return await backUp({ data, running: { url, token }, to, signal, log, ...more })
}

async function published(version: string, files: Readonly<Record<string, string>> = {}): Promise<Generation> {
  return await publish(depot.client, { name: 'hello', version, files: { 'a.txt': version, ...files } })
}

async function findings(of = to): Promise<readonly BackupFinding[]> {
  const all: BackupFinding[] = []
  for await (const finding of verifyBackup({ folder: of, signal, log })) all.push(finding)
  return all
}

async function faultsIn(of = to): Promise<readonly string[]> {
  return (await findings(of)).flatMap((finding) =>
    finding.kind === 'damaged' || finding.kind === 'faulty' ? [`${finding.kind}: ${finding.reason}`] : [],
  )
}

/** In an order of their own. */
function byId(tokens: readonly TokenBody[]): readonly TokenBody[] {
  return [...tokens].sort((a, b) => (a.id < b.id ? -1 : 1))
}

/** The code it is refused with. */
async function refusal(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => 'accepted',
    (error: { code?: string; message: string }) => error.code ?? error.message,
  )
}

async function keysAt(url: string): Promise<unknown> {
  return await (await fetch(`${url}/v1/keys`)).json()
}

describe('a backup of a depot that runs', () => {
  it('has all that there is, and the next one only what came since', async () => {
    const large = 'x'.repeat(LARGE)
    await published('1.0.0', { 'large.txt': large })
    const second = await published('2.0.0')
    const one = await backedUp()
    // Two manifests, two small files and a large one; of the trees a node each; and generations 0 and 1 as well.
    expect(one).toMatchObject({ isOnline: true, isNew: true, blobs: 5, older: 2 })
    expect(one.generation).toEqual(second)
    expect(one.bytes).toBeGreaterThan(LARGE)
    expect(await faultsIn()).toEqual([])

    expect(await backedUp()).toMatchObject({ isNew: false, blobs: 0, nodes: 0, bytes: 0, older: 0 })
    const third = await published('3.0.0', { 'large.txt': large })
    const next = await backedUp()
    // A manifest and a file: the large one is there.
    expect(next).toMatchObject({ isNew: true, blobs: 2, older: 0 })
    expect(next.bytes).toBeLessThan(LARGE)
    expect(next.generation).toEqual(third)
    expect(await faultsIn()).toEqual([])
  })

  it('is one generation, whatever is committed meanwhile', async () => {
    await published('1.0.0')
    let isOver = false
    const publishing = (async () => {
      for (let minor = 0; !isOver; minor += 1) await published(`2.${minor}.0`)
    })()
    for (let time = 0; time < 3; time += 1) {
      const { generation } = await backedUp()
      expect((await depot.client.generation(generation.gid)).gid).toBe(generation.gid)
    }
    isOver = true
    await publishing
    expect(await faultsIn()).toEqual([])
  })

  it('makes one token for itself, and not one each time', async () => {
    for (let time = 0; time < 3; time += 1) await backedUp()
    const made = (await depot.client.tokens()).filter(({ label }) => label === 'backup')
    expect(made.map(({ scopes }) => scopes)).toEqual([['replicate']])
    await depot.client.revokeToken(made[0]!.id)
    await backedUp()
    expect(
      (await depot.client.tokens()).filter(
        ({ revoked, label }) => label === 'backup' && revoked === undefined,
      ),
    ).toHaveLength(1)
  })

  it('may be taken with a token that may only replicate', async () => {
    const { token } = await depot.client.createToken({ label: 'nightly', scopes: ['replicate'] })
    await backedUp({ data: undefined, running: { url: depot.url, token } })
    expect((await depot.client.tokens()).map(({ label }) => label)).not.toContain('backup')
    expect(await faultsIn()).toEqual([])
    expect(await readdir(to)).not.toContain('admin.token')
  })

  it('is refused where the folder is something else, and changes nothing there', async () => {
    const other = join(folder.path, 'other')
    await using elsewhere = await runningDepot()
    expect(await refusal(backedUp({ to: elsewhere.data }))).toBe('data-unusable')
    await backedUp({
      to: other,
      data: elsewhere.data,
      running: { url: elsewhere.url, token: elsewhere.token },
    })
    const before = await findings(other)
    expect(await refusal(backedUp({ to: other }))).toBe('lineage-foreign')
    expect(await findings(other)).toEqual(before)
    expect(await readFile(join(other, 'admin.token'), 'utf8')).toContain(elsewhere.token)
    await elsewhere.client.tokens()
  })
})

describe('a backup of a depot that does not run', () => {
  it('is the same, and locks it meanwhile', async () => {
    await published('1.0.0')
    await depot.running.close()
    expect(await backedUp({ running: undefined })).toMatchObject({ isOnline: false, isNew: true, blobs: 2 })
    expect(await faultsIn()).toEqual([])
    expect(await refusal(backedUp({ running: undefined, data: join(folder.path, 'nothing') }))).toBe(
      'data-unusable',
    )
    expect(await refusal(backedUp({ running: undefined, data: to, to: join(folder.path, 'b') }))).toBe(
      'data-unusable',
    )
  })

  it('is refused where a depot runs that cannot be reached', async () => {
    expect(await refusal(backedUp({ running: undefined }))).toBe('data-locked')
  })
})

describe('a restored depot', () => {
  it('has the releases, the log, the tokens with their quotas, and the secret of its admin', async () => {
    const { token } = await depot.client.createToken({
      label: 'ci',
      scopes: ['publish:stable'],
      quotaBytes: 1_000,
    })
    const { connect } = await import('../../src/client/index.ts')
    await publish(connect({ url: depot.url, token }), {
      name: 'by-ci',
      version: '1.0.0',
      files: { f: 'x'.repeat(600) },
    })
    const last = await published('1.0.0', { 'large.txt': 'x'.repeat(LARGE) })
    await backedUp()
    const tokens = await depot.client.tokens()
    const keys = await keysAt(depot.url)
    await depot.running.close()

    const data = join(folder.path, 'restored')
    expect(await restore({ from: to, data, fork: false, signal, log })).toMatchObject({
      isNew: true,
      followers: 0,
    })
    expect((await stat(join(data, 'admin.token'))).mode & 0o777).toBe(0o600)
    await using again = await runningDepot({ data, allowUnverified: true })
    expect(again.token).toBe(depot.token)
    expect(await again.client.head()).toEqual(last)
    // It signs with the same key, and those who trust it need not be told anything.
    expect(await keysAt(again.url)).toEqual(keys)
    expect((await stat(join(data, 'keys'))).mode & 0o777).toBe(0o700)
    expect(await again.client.generations()[Symbol.asyncIterator]().next()).toMatchObject({ value: last })
    expect(byId(await again.client.tokens())).toEqual(byId(tokens))
    const ci = connect({ url: again.url, token })
    const more = publish(ci, { name: 'by-ci', version: '2.0.0', files: { f: 'y'.repeat(600) } })
    expect(await refusal(more)).toBe('quota-exceeded')
    const session = await again.client.session()
    const pieces: Uint8Array[] = []
    for await (const piece of session.file('stable', 'hello', '1.0.0', 'large.txt'))
      pieces.push(Buffer.from(piece))
    expect(Buffer.concat(pieces).toString()).toBe('x'.repeat(LARGE))
    // A new commit, after what was there.
    const next = await publish(again.client, { name: 'hello', version: '9.0.0' })
    expect(next.record.parent).toBe(last.gid)
  })

  it('commits nothing when nobody can tell what is lost, until that is allowed once (I32)', async () => {
    await published('1.0.0')
    await backedUp()
    const data = join(folder.path, 'restored')
    await restore({ from: to, data, fork: false, signal, log })
    {
      await using unsure = await runningDepot({ data })
      expect(await refusal(publish(unsure.client, { name: 'hello', version: '2.0.0' }))).toBe(
        'origin-unverified',
      )
      expect([await status(unsure, '/readyz'), await status(unsure, '/servez')]).toEqual([503, 200])
      expect(await status(unsure, '/v1/channels/stable/manifests/hello/1.0.0')).toBe(200)
      // Perhaps it was committed after the backup.
      expect(await status(unsure, '/v1/channels/stable/manifests/hello/2.0.0')).toBe(503)
    }
    {
      await using allowed = await runningDepot({ data, allowUnverified: true })
      await publish(allowed.client, { name: 'hello', version: '2.0.0' })
    }
    await using sure = await runningDepot({ data })
    await publish(sure.client, { name: 'hello', version: '3.0.0' })
  })

  it('begins another lineage at its first start where it is to fork, and only then', async () => {
    const last = await published('1.0.0')
    await backedUp()
    const data = join(folder.path, 'restored')
    await restore({ from: to, data, fork: true, signal, log })
    const heads: Generation[] = []
    for (let start = 0; start < 2; start += 1) {
      await using forked = await runningDepot({ data })
      heads.push(await forked.client.head())
      expect(await status(forked, '/readyz')).toBe(200)
    }
    expect(heads[0]!.record).toMatchObject({ number: 1_000, parent: last.gid, metaset: last.record.metaset })
    expect(heads[1]).toEqual(heads[0])
  })

  it('is not made where something is already, or of something that is no backup', async () => {
    await published('1.0.0')
    const data = join(folder.path, 'restored')
    expect(await refusal(restore({ from: to, data, fork: false, signal, log }))).toBe('backup-damaged')
    expect(await refusal(restore({ from: depot.data, data, fork: false, signal, log }))).toBe(
      'backup-damaged',
    )
    await backedUp()
    expect(await refusal(restore({ from: to, data: depot.data, fork: false, signal, log }))).toBe(
      'data-unusable',
    )
    expect(await refusal(restore({ from: to, data: to, fork: false, signal, log }))).toBe('data-unusable')
    expect(await faultsIn()).toEqual([])
  })
})

describe('a backup that was begun and never brought to its end', () => {
  it('is taken for no depot, and makes none, until the next one has brought it there', async () => {
    await published('1.0.0')
    const cut = new AbortController()
    cut.abort(new Error('cut'))
    await expect(backedUp({ signal: cut.signal })).rejects.toThrow('cut')
    expect(await refusal(runningDepot({ data: to }))).toBe('data-unusable')
    const data = join(folder.path, 'restored')
    expect(await refusal(restore({ from: to, data, fork: false, signal, log }))).toBe('backup-damaged')
    expect(await backedUp()).toMatchObject({ isNew: true })
    expect(await refusal(runningDepot({ data: to }))).toBe('data-unusable')
    expect(await restore({ from: to, data, fork: false, signal, log })).toMatchObject({ isNew: true })
  })
})

describe('a damaged backup', () => {
  async function largeFileOf(of: string): Promise<string> {
    for (const shard of await readdir(join(of, 'pool')))
      for (const name of await readdir(join(of, 'pool', shard))) return join(of, 'pool', shard, name)
    throw new Error('there is no large blob')
  }

  it.each<[string, RegExp, (path: string) => Promise<void>]>([
    [
      'has another byte',
      /damaged: its bytes have the digest/,
      async (path) => {
        const bytes = await readFile(path)
        bytes[LARGE / 2] = 0
        await writeFile(path, bytes)
      },
    ],
    ['is cut short', /faulty|damaged/, async (path) => await truncate(path, 10)],
    ['is gone', /faulty: sha256:.* is not here|damaged/, async (path) => await rm(path)],
  ])('whose large file %s is found out, and makes no depot', async (_how, found, hurt) => {
    await published('1.0.0', { 'large.txt': 'x'.repeat(LARGE) })
    await backedUp()
    await hurt(await largeFileOf(to))
    expect((await faultsIn()).join('\n')).toMatch(found)
    const data = join(folder.path, 'restored')
    expect(await refusal(restore({ from: to, data, fork: false, signal, log }))).not.toBe('accepted')
    expect(await readdir(data)).toContain('restoring.json')
    expect(await refusal(runningDepot({ data }))).toBe('data-unusable')
  })

  it('that was never brought to its end is not restored', async () => {
    await published('1.0.0')
    await backedUp()
    await writeFile(join(to, 'backup.json'), '{"v":1}\n')
    const data = join(folder.path, 'restored')
    expect(await refusal(restore({ from: to, data, fork: false, signal, log }))).toBe('backup-damaged')
    await writeFile(join(to, 'backup.json'), 'nonsense')
    expect(await refusal(restore({ from: to, data, fork: false, signal, log }))).toBe('data-unusable')
  })
})

async function status({ url }: TestDepot, path: string): Promise<number> {
  return (await fetch(url + path)).status
}
