/**
 * What operators do on the command line: tokens, scrub, doctor, config, completion.
 */
import { execFile } from 'node:child_process'
import { chmod, cp, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { BASE, HEAD, problem, recordedDepot, usualAnswers } from './recorded-depot.ts'
import { linesOf, type Ran, run } from './run.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const TOKEN = { DEPOT_TOKEN: 'secret-token' }
const NEW_TOKEN = {
  id: 't2',
  label: 'ci',
  scopes: ['publish:unstable'],
  created: HEAD.record.created,
  usedBytes: 0,
  token: 'dpt_fresh',
}

describe('depot token', () => {
  it('prints the new token alone on stdout, so that a script can take it', async () => {
    await using depot = await recordedDepot({ 'POST /v1/tokens': { status: 201, body: NEW_TOKEN } })
    const words = ['token', 'create', '--label', 'ci', '--scope', 'publish:unstable', '--depot', depot.url]
    const ran = await run([...words, '--expires', '90d', '--quota', '1000'], { environment: TOKEN })
    expect(ran).toMatchObject({ exit: 0, stdout: 'dpt_fresh\n' })
    expect(JSON.parse(String(depot.asked[0]?.body))).toEqual({
      label: 'ci',
      scopes: ['publish:unstable'],
      expires: '2027-02-20T04:22:08.000Z',
      quotaBytes: 1000,
    })
    const asJson = await run([...words, '--json'], { environment: TOKEN })
    expect(asJson).toMatchObject({ exit: 0, stderr: '' })
    expect(linesOf(asJson.stdout)).toEqual([NEW_TOKEN])
  })

  it.each([
    ['a scope that is none', ['--scope', 'everything'], 1],
    ['a time that is none', ['--scope', 'admin', '--expires', 'soon'], 2],
    ['a time that is past', ['--scope', 'admin', '--expires', '2026-11-22T04:22:08Z'], 2],
    ['a quota that is none', ['--scope', 'admin', '--quota', '-1'], 2],
  ])('refuses %s', async (_what, flags, exit) => {
    const ran = await run(['token', 'create', '--label', 'x', ...flags], { environment: TOKEN })
    expect(ran).toMatchObject({ exit, stdout: '' })
  })
})

describe('depot scrub', () => {
  it('exits with 1 when something is damaged', async () => {
    const lines = [
      { kind: 'progress', checked: 1, bytes: 10 },
      { kind: 'damaged', digest: `sha256:${'0'.repeat(64)}`, reason: 'too short' },
      { kind: 'done', checked: 2, bytes: 20, damaged: 1 },
    ]
    const body = lines.map((line) => `${JSON.stringify(line)}\n`).join('')
    await using depot = await recordedDepot({ 'POST /v1/scrub': { body } })
    const ran = await run(['scrub', '--depot', depot.url], { environment: TOKEN })
    expect(ran).toEqual({
      exit: 1,
      stdout: `damaged: sha256:${'0'.repeat(64)}: too short\n2 blobs checked, 20 bytes, 1 damaged\n`,
      stderr: '',
    })
    const asJson = await run(['scrub', '--json', '--depot', depot.url], { environment: TOKEN })
    expect(linesOf(asJson.stdout)).toEqual(lines)
  })
})

describe('depot replica status', () => {
  const { gid } = HEAD
  const well = { id: 'r1', role: 'replica', state: 'fresh', head: gid, known: gid, seenMsAgo: 412 }

  async function status(nodes: readonly object[], ...flags: readonly string[]): Promise<Ran> {
    await using depot = await recordedDepot({ 'GET /v1/nodes': { body: { head: gid, nodes } } })
    return await run(['replica', 'status', ...flags, '--depot', depot.url], { environment: TOKEN })
  }

  it('shows every node in a table, and one who is not well in the exit code', async () => {
    const behind = {
      ...well,
      id: 'r2-in-another-city',
      state: 'lag',
      head: BASE.gid,
      lagSeconds: 12.4,
      progress: { gid, done: 120, total: 400 },
      publicUrl: 'https://r2.example.org',
    }
    const silent = { ...well, id: 'r3', state: 'fresh', seenMsAgo: 180_000, isContested: true }
    const empty = { ...well, id: 'r4', state: 'boot', head: null, known: null, progress: { gid, done: 3 } }
    const ran = await status([well, behind, silent, empty])
    expect(ran.exit).toBe(10)
    expect(ran.stdout.trimEnd().split('\n')).toEqual([
      `head ${gid}, 4 nodes`,
      'NODE                ROLE     STATE                          GENERATION  BEHIND   HEARD      COPYING      URL',
      'r1                  replica  fresh                          g42         0        0.4 s ago  -            -',
      'r2-in-another-city  replica  lag                            g41         1, 12 s  0.4 s ago  g42 120/400  https://r2.example.org',
      'r3                  replica  fresh, silent, id taken twice  g42         0        3 min ago  -            -',
      'r4                  replica  boot                           -           -        0.4 s ago  g42 3/?      -',
    ])
  })

  it('exits with 0 when all are well, or there is none', async () => {
    expect(await status([well])).toMatchObject({ exit: 0, stderr: '' })
    expect(await status([])).toEqual({ exit: 0, stdout: `head ${gid}, 0 nodes\n`, stderr: '' })
    // Its head of a second ago: it is fresh, and has not told yet.
    expect(await status([{ ...well, head: BASE.gid, known: BASE.gid }])).toMatchObject({ exit: 0 })
  })

  it.each([
    ['is silent for a lease', { seenMsAgo: 5_000 }],
    ['is draining', { state: 'drain' }],
    ['shares its id', { isContested: true }],
  ])('exits with 10 when one %s', async (_, more) => {
    expect(await status([well, { ...well, id: 'r2', ...more }])).toMatchObject({ exit: 10 })
  })

  it('tells programs all that is known, and what follows from it', async () => {
    const foreign = { ...well, id: 'r2', head: 'g7.aaaaaaaaaaaa.0123456789abcdef' }
    const ran = await status([well, foreign], '--json')
    expect(linesOf(ran.stdout)).toEqual([
      {
        head: gid,
        nodes: [
          { ...well, behind: 0, isSilent: false },
          { ...foreign, behind: null, isSilent: false },
        ],
      },
    ])
  })

  it('needs a token', async () => {
    expect(await run(['replica', 'status', '--depot', 'http://203.0.113.1:1'])).toMatchObject({ exit: 1 })
  })
})

describe('depot doctor', () => {
  it('finds a depot well, and its data folder', async () => {
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'format.json'), '{"format":1}\n')
    await writeFile(join(folder.path, 'admin.token'), 'dpt_secret\n', { mode: 0o600 })
    const date = new Date('2026-11-22T04:22:08.000Z').toUTCString()
    await using depot = await recordedDepot({ ...usualAnswers(), 'GET /readyz': { headers: { date } } })
    const ran = await run(['doctor', '--json', '--data', folder.path, '--depot', depot.url])
    expect(ran.exit).toBe(0)
    expect(ran.stdout).not.toContain('dpt_secret')
    const [report] = linesOf(ran.stdout) as [{ findings: { check: string; state: string }[] }]
    expect(report.findings.filter(({ state }) => state === 'fail')).toEqual([])
    expect(report.findings.map(({ check }) => check)).toEqual(
      expect.arrayContaining(['Node', 'data format', 'disk', 'address', 'depot', 'clock', 'token', 'head']),
    )
  })

  it('fails for a wrong clock, a token or key that others may read, and a head that is another', async () => {
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'admin.token'), 'dpt_secret\n')
    await chmod(join(folder.path, 'admin.token'), 0o644)
    await mkdir(join(folder.path, 'keys'))
    await writeFile(join(folder.path, 'keys', 'k.pem'), 'secret')
    await chmod(join(folder.path, 'keys', 'k.pem'), 0o640)
    await using depot = await recordedDepot({
      ...usualAnswers(),
      'GET /readyz': { headers: { date: 'Sun, 22 Nov 2026 05:22:08 GMT' } },
      'GET /v1/head': { body: { ...HEAD, record: { ...HEAD.record, message: 'another' } } },
    })
    const ran = await run(['doctor', '--data', folder.path, '--depot', depot.url])
    expect(ran.exit).toBe(1)
    for (const check of ['clock', 'admin token', 'signing keys', 'head'])
      expect(ran.stdout).toMatch(new RegExp(`^fail {2}${check}: `, 'm'))
  })

  it.each([
    ['that the depot does not take', 'unknown-token', 'the token is unknown'],
    ['that is none', 'two\nlines', 'the token has characters that no token has'],
  ])('fails for a token %s, and prints it nowhere', async (_what, token, detail) => {
    await using depot = await recordedDepot({
      ...usualAnswers(),
      'GET /v1/stages': problem('unauthorised', 401, { reason: 'the token is unknown' }),
    })
    const ran = await run(['doctor', '--depot', depot.url], { environment: { DEPOT_TOKEN: token } })
    expect(ran.exit).toBe(1)
    expect(ran.stdout).toMatch(new RegExp(`^fail {2}token: ${detail}`, 'm'))
    expect(ran.stdout + ran.stderr).not.toContain(token)
  })

  it('takes a floor that is none for wrong words, not for a depot that is not there', async () => {
    await using depot = await recordedDepot(usualAnswers())
    const environment = { DEPOT_MIN_GENERATION: 'g1' }
    const ran = await run(['doctor', '--depot', depot.url], { environment })
    expect(ran).toMatchObject({ exit: 2, stdout: '' })
    expect(ran.stderr).toContain('DEPOT_MIN_GENERATION is "g1"')
  })

  it('says so when something else than a depot answers', async () => {
    await using depot = await recordedDepot({ 'GET /readyz': { headers: { 'depot-generation': '' } } })
    const ran = await run(['doctor', '--depot', depot.url])
    expect(ran.exit).toBe(1)
  })
})

describe('depot help', () => {
  it.each([
    [[], 'Usage: depot [options] [command]'],
    [['log'], 'Usage: depot log [options]'],
    [['stage', 'open'], 'Usage: depot stage open [options]'],
  ])('%j is of that very command', async (words, usage) => {
    const ran = await run(['help', ...words])
    expect(ran).toMatchObject({ exit: 0, stderr: '' })
    expect(ran.stdout.split('\n')[0]).toBe(usage)
  })

  it.each([[['nosuch']], [['stage', 'nosuch']]])('%j is none', async (words) => {
    const ran = await run(['help', ...words])
    expect(ran).toMatchObject({ exit: 2, stdout: '' })
    expect(ran.stderr).toContain(`there is no command "${words.join(' ')}"`)
  })
})

describe('depot config show', () => {
  it('tells every value and where it comes from, and no secret', async () => {
    await using folder = await temporaryFolder()
    await mkdir(join(folder.path, 'depot-data'))
    await writeFile(
      join(folder.path, 'depot-data/depot.toml'),
      'metrics_token = "very-secret"\nreads = "token"\n',
    )
    const ran = await run(['config', 'show', '--json', '--listen', '[::1]:0'], {
      folder: folder.path,
      environment: { DEPOT_ACCESS_LOG: 'yes' },
    })
    expect(ran).toMatchObject({ exit: 0, stderr: '' })
    expect(ran.stdout).not.toContain('very-secret')
    const file = join(folder.path, 'depot-data/depot.toml')
    expect(linesOf(ran.stdout)).toMatchObject([
      {
        file,
        settings: {
          listen: { value: '[::1]:0', source: 'flag', where: '--listen' },
          access_log: { value: 'true', source: 'environment', where: 'DEPOT_ACCESS_LOG' },
          reads: { value: 'token', source: 'file', where: file },
          metrics_token: { value: '(set)', source: 'file' },
          role: { value: 'origin', source: 'default' },
        },
      },
    ])
  })

  it('exits with 2 and says everything that is wrong', async () => {
    const ran = await run(['config', 'show', '--role', 'edge', '--json'], {
      environment: { DEPOT_LISTEN: 'x:y:z' },
    })
    expect(ran).toMatchObject({ exit: 2, stdout: '' })
    expect(ran.stderr).toContain('--role "edge" is not built yet')
    expect(ran.stderr).toContain('DEPOT_LISTEN must be host:port')
  })
})

describe('depot serve', () => {
  it.each([
    ['a role that is not built yet', ['--role', 'edge']],
    ['a replica of nobody', ['--role', 'replica']],
    ['an address that is none', ['--listen', 'here:there']],
    ['a file that is not there', ['--config', 'no-such-file.toml']],
    ['an argument', ['now']],
  ])('exits with 2 for %s', async (_what, flags) => {
    expect(await run(['serve', ...flags])).toMatchObject({ exit: 2, stdout: '' })
  })
})

describe('depot completion', () => {
  const cases: readonly [string[], string[]][] = [
    [['sta'], ['stage']],
    [['stage', 'm'], ['mark']],
    [
      ['stage', 'mark', 's1', '--status', ''],
      ['yanked', 'deprecated', 'none'],
    ],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish', '--json', '--help', '-h'],
    ],
    [['get', 'left-pad', '--gen'], ['--generation']],
  ]

  it.each(cases)('lets bash complete %j', async (words, expected) => {
    const { stdout: script } = await run(['completion', 'bash'])
    const line = ['depot', ...words].map((word) => `'${word}'`).join(' ')
    const test = `COMP_WORDS=(${line}); COMP_CWORD=${words.length}; _depot; printf '%s\\n' "\${COMPREPLY[@]}"`
    const { stdout } = await promisify(execFile)('bash', ['-c', `${script}\n${test}`])
    expect(stdout.trim().split('\n')).toEqual(expected)
  })

  it.each(['zsh', 'fish'])('knows every command and no stray quote for %s', async (shell) => {
    const { stdout } = await run(['completion', shell])
    for (const word of ['publish', 'rollback', 'mark', 'doctor']) expect(stdout).toContain(word)
    expect(await run(['completion', 'csh'])).toMatchObject({ exit: 2 })
  })
})

/** It starts four processes one after the other, and a busy machine may have others too. */
const PATIENCE_MS = 180_000

interface DemoStep {
  readonly step: string
  readonly urls?: readonly string[]
  readonly commits?: number
  readonly sessions?: number
}

describe('depot demo', () => {
  const PACKAGE = { name: 'some-package', version: '1.2.3' }

  it(
    'imports the folder it is given, and walks the whole round trip',
    async () => {
      await using folder = await temporaryFolder()
      await mkdir(join(folder.path, 'modules/some-package'), { recursive: true })
      await writeFile(join(folder.path, 'modules/some-package/package.json'), JSON.stringify(PACKAGE))
      const ran = await run(['demo', '--packages', 'modules', '--json'], { folder: folder.path })
      expect(ran).toMatchObject({ exit: 0, stderr: '' })
      const steps = linesOf(ran.stdout) as DemoStep[]
      expect(steps.map(({ step }) => step).join(' ')).toBe(
        'serve import read publish diff pinned rollback log replicas restart readers',
      )
      expect(steps[1]).toMatchObject({ releases: 1, files: 1 })
      expect(steps[6]).toMatchObject({ hello: false })
      expect(steps[8]?.urls).toHaveLength(2)
      const [, { commits }, { sessions, ...met }] = steps.slice(8) as [DemoStep, DemoStep, DemoStep]
      expect([commits, sessions]).toEqual([expect.any(Number), expect.any(Number)])
      expect(Math.min(commits ?? 0, sessions ?? 0)).toBeGreaterThan(3)
      expect(met).toEqual({ step: 'readers', mixed: 0, backward: 0, failed: 0, examples: [] })
    },
    PATIENCE_MS,
  )

  it(
    "imports depot's own packages when it is given none, wherever it runs",
    async () => {
      await using folder = await temporaryFolder()
      const modules = join(folder.path, 'node_modules')
      for (const name of ['src', 'package.json'])
        await cp(join(ROOT, name), join(folder.path, name), { recursive: true })
      await mkdir(join(modules, 'some-package'), { recursive: true })
      await writeFile(join(modules, 'some-package/package.json'), JSON.stringify(PACKAGE))
      // What the program itself needs. An import passes links over.
      for (const name of await readdir(join(ROOT, 'node_modules')))
        await symlink(join(ROOT, 'node_modules', name), join(modules, name))
      const { stdout, stderr } = await promisify(execFile)(
        process.execPath,
        [join(folder.path, 'src/cli/depot.mjs'), 'demo', '--json'],
        { cwd: '/' },
      )
      const [, imported] = linesOf(stdout)
      expect([imported, stderr]).toEqual([expect.objectContaining({ releases: 1, files: 1 }), ''])
    },
    PATIENCE_MS,
  )

  it('says what to give it when the folder is not there, or has no packages', async () => {
    await using folder = await temporaryFolder()
    const absent = await run(['demo', '--packages', 'absent'], { folder: folder.path })
    expect(absent).toMatchObject({ exit: 2, stdout: '' })
    expect(absent.stderr).toBe(
      `depot: Usage: there is no folder ${join(folder.path, 'absent')}; give --packages the node_modules folder of a project, or leave it out\n`,
    )
    const empty = await run(['demo', '--packages', '.'], { folder: folder.path })
    expect(empty.exit).toBe(2)
    expect(empty.stderr).toContain(`there is no package in ${folder.path}; give --packages`)
  })
})
