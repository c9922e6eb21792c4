/**
 * The CLI as a process: streams, exit codes, signals, and who is not there.
 */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { Digest } from '../../src/model/digest.ts'
import type { ReleaseBody } from '../../src/wire/bodies.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { type Answers, generation, offering, problem, recordedDepot, usualAnswers } from './recorded-depot.ts'
import { linesOf, runProcess, startProcess, textOf } from './run.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const MANY = Array.from({ length: 20_000 }, (_, at) => ({
  name: `package-${String(at).padStart(6, '0')}`,
  version: '1.0.0',
  manifest: `sha256:${'0'.repeat(64)}` as Digest,
  size: at,
}))

describe('the front door', () => {
  it('prints its version and nothing else', async () => {
    expect(await runProcess(['--version'])).toEqual({ exit: 0, stdout: '0.1.0\n', stderr: '' })
  })

  it('says in one sentence that Node is too old', async () => {
    const older = "Object.defineProperty(process, 'versions', { value: { node: '20.19.0' } })"
    const ran = await runProcess(['--version'], { node: ['--import', `data:text/javascript,${older}`] })
    expect(ran).toMatchObject({ exit: 1, stdout: '' })
    expect(ran.stderr).toMatch(
      /^depot: Node is too old: depot needs Node 22\.19 or newer and this is 20\.19\.0;.*\n$/,
    )
  })

  it('says what to do when its packages are not installed', async () => {
    await using folder = await temporaryFolder()
    for (const name of ['src', 'package.json'])
      await cp(join(ROOT, name), join(folder.path, name), { recursive: true })
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      [join(folder.path, 'src/cli/depot.mjs'), 'demo'],
      { cwd: folder.path },
    ).catch((error: { stdout: string; stderr: string }) => error)
    expect(await readdir(folder.path)).not.toContain('node_modules')
    expect(stdout).toBe('')
    expect(stderr).toMatch(
      /^depot: Packages are missing: .*\(Cannot find package '[^']+'\); run npm ci in the folder of depot\n$/,
    )
  })

  it('keeps what it made of its sources among the packages, and nowhere else', async () => {
    const kept = join(ROOT, 'node_modules/.cache/depot')
    await rm(kept, { recursive: true, force: true })
    await runProcess(['--version'])
    const [version = ''] = await readdir(kept)
    expect(await readdir(join(kept, version))).not.toEqual([])
    await using folder = await temporaryFolder()
    const elsewhere = { environment: { NODE_COMPILE_CACHE: folder.path } }
    await rm(kept, { recursive: true, force: true })
    expect(await runProcess(['--version'], elsewhere)).toMatchObject({ exit: 0, stderr: '' })
    expect(await readdir(folder.path)).toEqual([version])
  })

  it('exits with 2 when the words make no sense', async () => {
    const ran = await runProcess(['publsh'])
    expect(ran).toMatchObject({ exit: 2, stdout: '' })
    expect(ran.stderr).toBe("depot: Usage: unknown command 'publsh' (Did you mean publish?)\n")
  })

  it('exits with 1 and a sentence when the depot is not there', async () => {
    const url = await nobodyThere()
    const { exit, stdout, stderr } = await runProcess(['log', '--depot', url, '--json'])
    expect({ exit, stdout }).toEqual({ exit: 1, stdout: '' })
    const [sentence = '', document = ''] = stderr.trim().split('\n')
    expect(sentence).toMatch(/^depot: The depot cannot be reached: .*ECONNREFUSED/)
    expect(JSON.parse(document)).toMatchObject({ type: '/problems/depot-unreachable' })
  })

  it('exits with 1 before anything is sent when there is no token', async () => {
    await using depot = await recordedDepot(usualAnswers())
    const { exit, stderr } = await runProcess(['stage', 'open', '--depot', depot.url])
    expect(exit).toBe(1)
    expect(stderr).toMatch(
      /^depot: A token is needed: DEPOT_TOKEN is not set and .*admin\.token cannot be read;/,
    )
    expect(depot.calls).toEqual([])
  })

  it('puts JSON on stdout and nothing else, also when it fails half-way', async () => {
    const lines = MANY.slice(0, 1_000)
    await using depot = await recordedDepot(
      catalogAnswers(lines, (good) => good.replace(/.{10}$/s, 'x'.repeat(10))),
    )
    const { exit, stdout, stderr } = await runProcess(['--json', 'catalog', 'unstable', '--depot', depot.url])
    expect(exit).toBe(1)
    const told = linesOf(stdout)
    expect(told.length).toBeGreaterThan(0)
    expect(told).toEqual(lines.slice(0, told.length))
    expect(stderr).toContain('depot: The bytes are not what was declared')
  })

  it('ends well when its reader goes away', async () => {
    await using depot = await recordedDepot(catalogAnswers(MANY))
    const child = startProcess(['catalog', 'unstable', '--depot', depot.url])
    const stderr = textOf(child.stderr)
    child.stdout?.once('data', () => child.stdout?.destroy())
    const [exit] = (await once(child, 'close')) as [number]
    expect({ exit, stderr: await stderr }).toEqual({ exit: 0, stderr: '' })
  })

  it('gives its own stage up at SIGINT, and exits as shells expect', async () => {
    await using folder = await temporaryFolder()
    await mkdir(join(folder.path, 'files'))
    await writeFile(join(folder.path, 'files/a.txt'), 'a')
    const asked = Promise.withResolvers<void>()
    await using depot = await recordedDepot({
      ...usualAnswers(),
      'POST /v1/stages/s1/missing': () => {
        asked.resolve()
        return problem('hold-limit', 503, { limit: 1 })
      },
    })
    const child = startProcess(
      [
        'publish',
        'files',
        '--channel',
        'unstable',
        '--name',
        'a',
        '--version',
        '1.0.0',
        '--depot',
        depot.url,
      ],
      { folder: folder.path, environment: { DEPOT_TOKEN: 'secret-token' } },
    )
    const stderr = textOf(child.stderr)
    await asked.promise
    child.kill('SIGINT')
    const [exit] = (await once(child, 'close')) as [number]
    expect({ exit, stderr: await stderr }).toEqual({
      exit: 130,
      stderr: 'depot: Interrupted: stopped by SIGINT\n',
    })
    expect(depot.calls.at(-1)).toBe('DELETE /v1/stages/s1')
  })

  it('finds the admin token of a depot on this machine, and never prints it', async () => {
    await using folder = await temporaryFolder()
    const token = 'dpt_0123456789abcdef'
    await mkdir(join(folder.path, 'depot-data'))
    await writeFile(join(folder.path, 'depot-data/admin.token'), `${token}\n`, { mode: 0o600 })
    await using depot = await recordedDepot({
      ...usualAnswers(),
      'GET /v1/stages': problem('forbidden', 403, { scope: 'admin' }),
    })
    const { exit, stdout, stderr } = await runProcess(['stage', 'list', '--json'], {
      folder: folder.path,
      environment: { DEPOT_URL: depot.url },
    })
    expect(exit).toBe(1)
    expect(depot.asked[0]?.headers['authorization']).toBe(`Bearer ${token}`)
    expect(stdout + stderr).not.toContain(token)
  })
})

/** The answers that reading the catalog of channel `unstable` needs. */
function catalogAnswers(
  releases: readonly ReleaseBody[],
  spoilt: (good: string) => string = (good) => good,
): Answers {
  const { metaset, catalog, answers } = offering(releases)
  const head = generation(42, 'many', metaset)
  return {
    ...usualAnswers(head),
    ...answers,
    [`GET /g/${head.gid}/v1/channels/unstable/catalog`]: { body: spoilt(catalog) },
  }
}

/** An address where something listened, and no longer does. */
async function nobodyThere(): Promise<string> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  return `http://127.0.0.1:${port}`
}
