/**
 * What readers do on the command line: get, catalog, show, log, diff, floor.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { digestOf, hexOf } from '../../src/model/digest.ts'
import { encodeManifest } from '../../src/model/manifest.ts'
import { semverOrder } from '../../src/model/version.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import {
  type Answers,
  BASE,
  generation,
  offering,
  problem,
  recordedDepot,
  usualAnswers,
} from './recorded-depot.ts'
import { linesOf, run } from './run.ts'

const TEXT = 'module.exports = pad\n'
const { bytes: MANIFEST, digest: MANIFEST_DIGEST } = encodeManifest(
  {
    name: 'left-pad',
    version: '1.3.0',
    summary: 'Pads \u001b[31mleft',
    files: [
      { path: 'index.js', digest: digestOf(TEXT), size: TEXT.length },
      { path: 'win.js', digest: digestOf(''), size: 0, os: 'win32' },
    ],
    dependencies: { pad: '^1.0.0' },
  },
  semverOrder,
)
const RELEASE = { name: 'left-pad', version: '1.3.0', manifest: MANIFEST_DIGEST, size: TEXT.length }
const YANKED = { ...RELEASE, version: '1.2.0', status: 'yanked', reason: 'broken' } as const
const OFFERED = offering([RELEASE, YANKED])
const HEAD = generation(42, 'publish left-pad 1.3.0', OFFERED.metaset)
const AT = `/g/${HEAD.gid}/v1/channels/unstable`

function answers(): Answers {
  return {
    ...usualAnswers(HEAD),
    ...OFFERED.answers,
    [`GET ${AT}/manifests/left-pad`]: { body: { releases: [RELEASE, YANKED] } },
    [`GET ${AT}/manifests/left-pad?range=*`]: { body: { releases: [RELEASE] } },
    [`GET ${AT}/manifests/left-pad?range=%5E1`]: { body: { releases: [RELEASE] } },
    [`GET ${AT}/manifests/left-pad?range=1.3.0`]: { body: { releases: [RELEASE] } },
    [`GET ${AT}/manifests/left-pad?range=%5E9`]: { body: { releases: [] } },
    [`GET ${AT}/manifests/left-pad/1.3.0`]: { body: MANIFEST },
    [`GET /o/sha256/${hexOf(digestOf(TEXT))}`]: { body: TEXT, headers: { 'depot-generation': 'any' } },
  }
}

describe('depot get', () => {
  it.each(['left-pad', 'left-pad@^1', 'left-pad@1.3.0'])('writes the newest release of %s', async (wish) => {
    await using folder = await temporaryFolder()
    await using depot = await recordedDepot(answers())
    const words = ['get', wish, '--channel', 'unstable', '--os', 'linux', '--json', '--depot', depot.url]
    const ran = await run(words, { folder: folder.path })
    expect(ran).toMatchObject({ exit: 0, stderr: '' })
    expect(linesOf(ran.stdout)).toEqual([
      {
        generation: HEAD.gid,
        channel: 'unstable',
        name: 'left-pad',
        version: '1.3.0',
        manifest: MANIFEST_DIGEST,
        folder: join(folder.path, 'left-pad-1.3.0'),
        files: 1,
        bytes: TEXT.length,
      },
    ])
    expect(await readFile(join(folder.path, 'left-pad-1.3.0/index.js'), 'utf8')).toBe(TEXT)
  })

  it('writes one file to stdout, byte for byte', async () => {
    await using depot = await recordedDepot(answers())
    const words = ['get', 'left-pad', '--channel', 'unstable', '--file', 'index.js', '--depot', depot.url]
    expect(await run(words)).toEqual({ exit: 0, stdout: TEXT, stderr: '' })
    expect(await run([...words, '--json'])).toMatchObject({ exit: 2, stdout: '' })
  })

  it('refuses to write below what is no folder', async () => {
    await using depot = await recordedDepot(answers())
    const file = import.meta.filename
    const ran = await run(['get', 'left-pad', '--channel', 'unstable', '--to', file, '--depot', depot.url])
    expect(ran).toMatchObject({ exit: 2, stdout: '' })
    expect(ran.stderr).toBe(`depot: Usage: ${file} is no folder; give another one with --to\n`)
  })

  it('says what is missing when nothing matches', async () => {
    await using depot = await recordedDepot(answers())
    const ran = await run(['get', 'left-pad@^9', '--channel', 'unstable', '--depot', depot.url])
    expect(ran).toMatchObject({ exit: 1, stdout: '' })
    expect(ran.stderr).toContain('there is no release left-pad that matches ^9 in channel unstable')
  })

  it('gives a yanked release only to who asks for that very version, and warns', async () => {
    await using depot = await recordedDepot({
      ...answers(),
      [`GET ${AT}/manifests/left-pad?range=1.2.0`]: { body: { releases: [] } },
      [`GET ${AT}/manifests/left-pad/1.2.0`]: problem('not-found', 404, { what: 'it' }),
    })
    const ran = await run(['get', 'left-pad@1.2.0', '--channel', 'unstable', '--depot', depot.url])
    expect(ran.stderr).toContain('depot: note: left-pad 1.2.0 is yanked: broken\n')
  })
})

describe('depot catalog, show, log and diff', () => {
  const changed = { op: 'changed', ...RELEASE, was: MANIFEST_DIGEST }

  it('lists what has changed since a generation', async () => {
    await using depot = await recordedDepot({
      ...answers(),
      [`GET ${AT}/catalog?since=${BASE.gid}`]: { body: `${JSON.stringify(changed)}\n` },
    })
    const words = ['catalog', 'unstable', '--since', BASE.gid, '--depot', depot.url]
    expect(await run(words)).toEqual({ exit: 0, stdout: '~ left-pad 1.3.0  21 bytes\n', stderr: '' })
    expect(linesOf((await run([...words, '--json'])).stdout)).toEqual([changed])
  })

  it('exits with 10 when two generations differ, and with 0 when they do not', async () => {
    await using depot = await recordedDepot({
      ...answers(),
      [`GET /v1/generations/${BASE.gid}/diff/${HEAD.gid}?channel=unstable`]: {
        body: `${JSON.stringify(changed)}\n`,
      },
      [`GET /v1/generations/${HEAD.gid}/diff/${HEAD.gid}`]: { body: '' },
    })
    const words = ['--json', 'diff', BASE.gid, HEAD.gid, '--channel', 'unstable', '--depot', depot.url]
    const differing = await run(words)
    expect(differing.exit).toBe(10)
    expect(linesOf(differing.stdout)).toEqual([changed])
    const same = await run(['diff', HEAD.gid, HEAD.gid, '--depot', depot.url])
    expect(same).toEqual({ exit: 0, stdout: '', stderr: '' })
  })

  it('lists as many generations as asked', async () => {
    await using depot = await recordedDepot({
      ...answers(),
      'GET /v1/generations': { body: { generations: [HEAD, BASE] } },
    })
    const all = await run(['log', '--depot', depot.url])
    expect(all.stdout).toBe(
      [HEAD, BASE].map(({ gid, record }) => `${gid}  ${record.created}  ada  ${record.message}\n`).join(''),
    )
    const one = await run(['log', '-n', '1', '--json', '--depot', depot.url])
    expect(linesOf(one.stdout)).toEqual([HEAD])
    expect(await run(['log', '-n', '0', '--depot', depot.url])).toMatchObject({ exit: 2 })
  })

  it('tells a release from a generation, and asks for its channel', async () => {
    await using depot = await recordedDepot(usualAnswers())
    const ran = await run(['show', 'left-pad@1.3.0', '--depot', depot.url])
    expect(ran).toMatchObject({ exit: 2, stdout: '' })
    expect(ran.stderr).toContain('to show a release, name its channel with --channel')
    expect(depot.calls).toEqual([])
  })

  it('shows a generation, and a release without what would play with the terminal', async () => {
    await using depot = await recordedDepot(answers())
    const head = await run(['show', '--depot', depot.url])
    expect(head.stdout).toContain(`generation  ${HEAD.gid}\n`)
    const release = await run(['show', 'left-pad@1.3.0', '--channel', 'unstable', '--depot', depot.url])
    expect(release.stdout).toBe(
      [
        'release     left-pad 1.3.0',
        'summary     Pads \ufffd[31mleft',
        'needs',
        '  pad ^1.0.0',
        '2 files, 21 bytes',
        '  index.js  21 bytes',
        '  win.js  0 bytes\n',
      ].join('\n'),
    )
    const words = ['show', 'left-pad', '--channel', 'unstable', '--depot', depot.url]
    expect(await run(words)).toMatchObject({ exit: 2 })
  })
})

describe('depot floor', () => {
  it('prints what another job needs, and accepts nothing older than it was told', async () => {
    await using depot = await recordedDepot(answers())
    const environment = { DEPOT_MIN_GENERATION: BASE.gid, DEPOT_URL: depot.url }
    expect(await run(['floor'], { environment })).toEqual({ exit: 0, stdout: `${HEAD.gid}\n`, stderr: '' })
    expect(depot.asked[0]?.headers['depot-min-generation']).toBe(BASE.gid)
    const env = await run(['floor', '--env'], { environment })
    expect(env.stdout).toBe(`DEPOT_MIN_GENERATION=${HEAD.gid}\n`)
  })

  it('refuses a floor that is no generation id', async () => {
    const ran = await run(['floor'], { environment: { DEPOT_MIN_GENERATION: '42' } })
    expect(ran).toMatchObject({ exit: 2, stdout: '' })
  })
})
