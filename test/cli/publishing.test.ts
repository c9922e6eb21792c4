/**
 * What publishers do on the command line: publish, stage, commit, channels, rollback.
 */
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../src/model/digest.ts'
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts'
import {
  type Answers,
  BASE,
  generation,
  HEAD,
  problem,
  recordedDepot,
  usualAnswers,
} from './recorded-depot.ts'
import { linesOf, type Ran, run } from './run.ts'

const TOKEN = { DEPOT_TOKEN: 'secret-token' }
const MANIFEST = digestOf('a manifest')
const PUT_A: Answers = {
  'PUT /v1/stages/s1/channels/unstable/manifests/a/1.0.0': {
    status: 201,
    body: { manifest: MANIFEST, missing: [] },
  },
}

describe('depot publish', () => {
  it('uploads what is missing, puts the manifest, and commits', async () => {
    await using folder = await folderOf({ 'b.txt': 'bee', 'bin/run': '#!/bin/sh', 'a.json': '{}' })
    await chmod(join(folder.path, 'bin/run'), 0o700)
    await using depot = await recordedDepot({ ...usualAnswers(), ...PUT_A })
    const ran = await run(
      ['publish', '.', '--channel', 'unstable', '--name', 'a', '--version', '1.0.0', '-m', 'first', '--json'],
      { folder: folder.path, environment: { ...TOKEN, DEPOT_URL: depot.url } },
    )
    expect(ran).toMatchObject({ exit: 0, stderr: '' })
    expect(linesOf(ran.stdout)).toEqual([
      {
        channel: 'unstable',
        name: 'a',
        version: '1.0.0',
        manifest: expect.stringMatching(/^sha256:/) as string,
        files: 3,
        bytes: 14,
        generation: generation(43, 'done').gid,
        changed: true,
      },
    ])
    expect(depot.calls).toEqual([
      'POST /v1/stages',
      'POST /v1/stages/s1/missing',
      'POST /v1/stages/s1/blobs',
      'PUT /v1/stages/s1/channels/unstable/manifests/a/1.0.0',
      'POST /v1/stages/s1/commit',
    ])
    expect(JSON.parse(String(depot.asked[0]?.body))).toEqual({ message: 'first' })
    expect(JSON.parse(String(depot.asked[3]?.body))).toEqual({
      name: 'a',
      version: '1.0.0',
      files: [
        { path: 'a.json', digest: digestOf('{}'), size: 2, mode: 0o644, mediaType: 'application/json' },
        { path: 'b.txt', digest: digestOf('bee'), size: 3, mode: 0o644, mediaType: 'text/plain' },
        { path: 'bin/run', digest: digestOf('#!/bin/sh'), size: 9, mode: 0o755 },
      ],
    })
  })

  it('adds to a stage and does not commit with --stage', async () => {
    await using folder = await folderOf({ 'b.txt': 'bee' })
    await using depot = await recordedDepot({ ...usualAnswers(), ...PUT_A })
    const ran = await publish(folder, depot.url, '--stage', 's1')
    expect(ran).toMatchObject({ exit: 0, stdout: expect.stringContaining('staged in s1') as string })
    expect(depot.calls.filter((call) => /commit|POST \/v1\/stages$/.test(call))).toEqual([])
  })

  it('exits with 4 when all of it was there', async () => {
    await using folder = await folderOf({ 'b.txt': 'bee' })
    const answers = { ...usualAnswers(), ...PUT_A, 'POST /v1/stages/s1/commit': { status: 200, body: HEAD } }
    await using depot = await recordedDepot(answers)
    const ran = await publish(folder, depot.url)
    expect(ran).toMatchObject({ exit: 4, stdout: expect.stringContaining('nothing to do') as string })
  })

  it('gives its stage up when the depot refuses', async () => {
    await using folder = await folderOf({ 'b.txt': 'bee' })
    const bound = { channel: 'unstable', name: 'a', version: '1.0.0', bound: MANIFEST, offered: MANIFEST }
    await using depot = await recordedDepot({
      ...usualAnswers(),
      ...PUT_A,
      'POST /v1/stages/s1/commit': problem('name-conflict', 409, bound),
    })
    const ran = await publish(folder, depot.url, '--json')
    expect(ran).toMatchObject({ exit: 1, stdout: '' })
    const [sentence, document = ''] = ran.stderr.trim().split('\n')
    expect(sentence).toMatch(/^depot: That version is taken: a 1\.0\.0 in channel unstable is bound/)
    expect(JSON.parse(document)).toMatchObject({ type: '/problems/name-conflict', ...bound })
    expect(depot.calls.at(-1)).toBe('DELETE /v1/stages/s1')
  })

  it('takes name, version, summary and dependencies from package.json', async () => {
    const about = { name: '@s/a', version: '2.0.0', description: 'An a', dependencies: { b: '^1', c: 'x/c' } }
    await using folder = await folderOf({ 'package.json': JSON.stringify(about) })
    const ran = await run(['publish', folder.path, '--channel', 'unstable', '--dry-run', '--json'])
    expect(ran.exit).toBe(0)
    expect(linesOf(ran.stdout)).toMatchObject([
      {
        dryRun: true,
        name: '@s/a',
        version: '2.0.0',
        release: {
          summary: 'An a',
          dependencies: { b: '^1' },
          annotations: { npm: { dependencies: { c: 'x/c' } } },
        },
      },
    ])
  })

  it('sends nothing with --dry-run, and needs no token', async () => {
    await using folder = await folderOf({ 'b.txt': 'bee' })
    await using depot = await recordedDepot({})
    const ran = await run(
      ['publish', '.', '-n', '--channel', 'unstable', '--name', 'a', '--version', '1.0.0', '--os', 'linux'],
      { folder: folder.path, environment: { DEPOT_URL: depot.url } },
    )
    expect(ran).toEqual({
      exit: 0,
      stdout: 'a 1.0.0: 1 file, 3 bytes\n  b.txt  3 bytes\nnothing was sent\n',
      stderr: '',
    })
    expect(depot.calls).toEqual([])
  })

  it('refuses symbolic links, and leaves out what it is told to', async () => {
    await using folder = await folderOf({ 'b.txt': 'bee', 'node_modules/c/d.js': '', '.git/config': '' })
    await symlink('/etc/passwd', join(folder.path, 'node_modules/link'))
    await using depot = await recordedDepot({ ...usualAnswers(), ...PUT_A })
    const refused = await publish(folder, depot.url)
    expect(refused.exit).toBe(2)
    expect(refused.stderr).toContain('symbolic links or special files: node_modules/link; leave them out')
    const ran = await publish(folder, depot.url, '--exclude', 'node_modules')
    expect(ran).toMatchObject({ exit: 0, stdout: expect.stringContaining('1 file, 3 bytes') as string })
  })

  it.each([
    ['no channel', ['publish', '.']],
    ['no name', ['publish', '.', '--channel', 'unstable']],
    ['no folder', ['publish', '--channel', 'unstable']],
    ['a flag that is not there', ['publish', '.', '--chanel', 'unstable']],
    ['a depot that is no address', ['publish', '.', '--channel', 'unstable', '--depot', 'nonsense']],
  ])('exits with 2 for %s', async (_what, words) => {
    await using folder = await folderOf({ 'b.txt': 'bee' })
    const ran = await run(words, { folder: folder.path, environment: TOKEN })
    expect(ran).toMatchObject({ exit: 2, stdout: '' })
    expect(ran.stderr).toMatch(/^depot: Usage: /)
  })

  it('exits with 1 for a version that a depot cannot hold', async () => {
    await using folder = await folderOf({ 'b.txt': 'bee' })
    const words = ['publish', '.', '--channel', 'unstable', '--name', 'a', '--version', 'v1', '--dry-run']
    const ran = await run(words, { folder: folder.path })
    expect(ran).toMatchObject({ exit: 1, stdout: '' })
    expect(ran.stderr).toMatch(/^depot: The version is not allowed: "v1" is not a semver version/)
  })
})

describe('depot stage and depot commit', () => {
  const cases: readonly [string[], string, object | undefined][] = [
    [
      ['stage', 'open', '-m', 'two', '--member', 't2'],
      'POST /v1/stages',
      { message: 'two', members: ['t2'] },
    ],
    [['stage', 'show', 's1'], 'GET /v1/stages/s1', undefined],
    [['stage', 'list'], 'GET /v1/stages', undefined],
    [['stage', 'abort', 's1'], 'DELETE /v1/stages/s1', undefined],
    [
      ['stage', 'remove', 's1', '@s/a@1.0.0', '--channel', 'unstable'],
      'DELETE /v1/stages/s1/channels/unstable/manifests/%40s%2Fa/1.0.0',
      undefined,
    ],
    [
      ['stage', 'mark', 's1', 'a@1.0.0', '--channel', 'unstable', '--status', 'yanked', '--reason', 'bad'],
      'PATCH /v1/stages/s1/channels/unstable/manifests/a/1.0.0',
      { status: 'yanked', reason: 'bad' },
    ],
    [
      ['stage', 'mark', 's1', 'a@1.0.0', '--channel', 'unstable', '--status', 'none'],
      'PATCH /v1/stages/s1/channels/unstable/manifests/a/1.0.0',
      { status: null },
    ],
    [['commit', 's1', '-m', 'both'], 'POST /v1/stages/s1/commit', { message: 'both' }],
    [['channel', 'freeze', 'stable', '--stage', 's1'], 'PUT /v1/stages/s1/channels/stable', { frozen: true }],
    [['channel', 'create', 'stable', '--stage', 's1'], 'PUT /v1/stages/s1/channels/stable', {}],
    [['channel', 'remove', 'stable', '--stage', 's1'], 'DELETE /v1/stages/s1/channels/stable', undefined],
    [['rollback', '41', '-m', 'back'], 'POST /v1/rollback', { to: '41', message: 'back' }],
    [['token', 'revoke', 't7'], 'DELETE /v1/tokens/t7', undefined],
  ]

  it.each(cases)('%j asks %s', async (words, call, body) => {
    await using depot = await recordedDepot({
      ...usualAnswers(),
      'PATCH /v1/stages/s1/channels/*': { status: 204 },
      'PUT /v1/stages/s1/channels/*': { status: 204 },
      'DELETE /v1/stages/s1/channels/*': { status: 204 },
      'POST /v1/rollback': { status: 201, body: generation(43, 'back') },
      'DELETE /v1/tokens/t7': { status: 204 },
    })
    for (const flags of [[], ['--json']]) {
      const ran = await run([...words, ...flags, '--depot', depot.url], { environment: TOKEN })
      expect(ran).toMatchObject({ exit: 0, stderr: '' })
      expect(ran.stdout).not.toBe('')
      if (flags.length > 0) expect(linesOf(ran.stdout)).toHaveLength(1)
    }
    const asked = depot.asked.find(({ method, path }) => `${method} ${path}` === call)
    expect(asked?.headers['authorization']).toBe('Bearer secret-token')
    if (body !== undefined) expect(JSON.parse(String(asked?.body))).toEqual(body)
  })

  it('exits with 4 when the head offers already what it should go back to', async () => {
    await using depot = await recordedDepot({ ...usualAnswers(), 'POST /v1/rollback': { body: HEAD } })
    const words = ['rollback', String(HEAD.record.number), '--depot', depot.url]
    expect(await run(words, { environment: TOKEN })).toEqual({
      exit: 4,
      stdout: `nothing to do; the head ${HEAD.gid} offers that already\n`,
      stderr: '',
    })
    const asJson = await run([...words, '--json'], { environment: TOKEN })
    expect(asJson).toMatchObject({ exit: 4, stderr: '' })
    expect(linesOf(asJson.stdout)).toEqual([{ ...HEAD, changed: false }])
  })

  it('commits only on the head it was told, with the key it was told', async () => {
    await using depot = await recordedDepot(usualAnswers())
    const words = ['commit', 's1', '--only-on', HEAD.gid, '--idempotency-key', 'k1', '--depot', depot.url]
    expect(await run(words, { environment: TOKEN })).toMatchObject({ exit: 0 })
    expect(depot.asked[0]?.headers).toMatchObject({ 'if-match': `"${HEAD.gid}"`, 'idempotency-key': 'k1' })
  })

  it('changes a channel in a stage of its own, and commits it', async () => {
    await using depot = await recordedDepot({
      ...usualAnswers(),
      'PUT /v1/stages/s1/channels/stable': { status: 204 },
    })
    const ran = await run(['channel', 'unfreeze', 'stable', '--depot', depot.url], { environment: TOKEN })
    expect(ran).toMatchObject({
      exit: 0,
      stdout: expect.stringContaining('channel stable unfrozen') as string,
    })
    expect(depot.calls).toEqual([
      'POST /v1/stages',
      'PUT /v1/stages/s1/channels/stable',
      'POST /v1/stages/s1/commit',
    ])
  })

  it('previews the catalog of a stage', async () => {
    const line = {
      name: 'a',
      version: '1.0.0',
      manifest: MANIFEST,
      size: 3,
      summary: 'an a',
      status: 'yanked',
    }
    await using depot = await recordedDepot({
      ...usualAnswers(),
      [`GET /v1/generations/${BASE.gid}`]: { body: BASE },
      'GET /v1/stages/s1/preview/v1/channels/unstable/catalog': { body: `${JSON.stringify(line)}\n` },
    })
    const ran = await run(['stage', 'preview', 's1', 'unstable', '--depot', depot.url], {
      environment: TOKEN,
    })
    expect(ran).toEqual({ exit: 0, stdout: 'a 1.0.0  3 bytes  [yanked] an a\n', stderr: '' })
  })
})

async function publish(folder: TemporaryFolder, url: string, ...flags: string[]): Promise<Ran> {
  const words = ['publish', '.', '--channel', 'unstable', '--name', 'a', '--version', '1.0.0', ...flags]
  return await run(words, { folder: folder.path, environment: { ...TOKEN, DEPOT_URL: url } })
}

async function folderOf(files: Readonly<Record<string, string>>): Promise<TemporaryFolder> {
  const folder = await temporaryFolder()
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder.path, path)), { recursive: true })
    await writeFile(join(folder.path, path), text)
  }
  return folder
}
