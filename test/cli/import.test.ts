/**
 * `depot import npm` on the command line: one stage, few requests, one commit.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../src/model/digest.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { type Asked, type Recorded, recordedDepot, usualAnswers } from './recorded-depot.ts'
import { linesOf, run } from './run.ts'

const TOKEN = { DEPOT_TOKEN: 'secret-token' }

describe('depot import npm', () => {
  it('sends what many packages share once, and all manifests together', async () => {
    await using folder = await temporaryFolder()
    for (let at = 0; at < 200; at += 1) {
      const name = at % 2 === 0 ? `package-${at}` : `@scope/package-${at}`
      await write(folder.path, `${name}/package.json`, JSON.stringify({ name, version: '1.0.0' }))
      await write(folder.path, `${name}/LICENSE`, 'free')
    }
    await using depot = await recordedDepot({ ...usualAnswers(), ...TAKES_MANIFESTS })
    const ran = await run(
      ['import', 'npm', folder.path, '--channel', 'npm', '--json', '--depot', depot.url],
      {
        environment: TOKEN,
      },
    )
    expect(ran).toMatchObject({ exit: 0, stderr: '' })
    expect(linesOf(ran.stdout)).toMatchObject([{ channel: 'npm', releases: 200, files: 400, changed: true }])
    expect(depot.calls).toEqual([
      'POST /v1/stages',
      'POST /v1/stages/s1/missing',
      'POST /v1/stages/s1/blobs',
      'POST /v1/stages/s1/channels/npm/manifests',
      'POST /v1/stages/s1/commit',
    ])
    const { blobs } = JSON.parse(String(depot.asked[1]?.body)) as { blobs: { digest: string }[] }
    expect(blobs).toHaveLength(201)
  })

  it('exits with 3 and names what a depot cannot hold', async () => {
    await using folder = await temporaryFolder()
    await write(folder.path, 'good/package.json', '{"name":"good","version":"1.0.0"}')
    await write(folder.path, 'odd/package.json', '{"name":"odd","version":"1.0.0+build"}')
    await write(folder.path, 'none/package.json', '{"private":true}')
    await using depot = await recordedDepot({ ...usualAnswers(), ...TAKES_MANIFESTS })
    const ran = await run(['import', 'npm', folder.path, '--channel', 'npm', '--depot', depot.url], {
      environment: TOKEN,
    })
    expect(ran.exit).toBe(3)
    expect(ran.stdout).toMatch(
      /^1 release: 1 file, 33 bytes \(left out: 1 unnamed, 1 refused\) in channel npm; /,
    )
    expect(ran.stderr).toContain('depot: skipped odd: "1.0.0+build" is not a semver version')
  })

  it('exits with 2 and leaves no stage where there is no package', async () => {
    await using folder = await temporaryFolder()
    await using depot = await recordedDepot(usualAnswers())
    const ran = await run(['import', 'npm', folder.path, '--channel', 'npm', '--depot', depot.url], {
      environment: TOKEN,
    })
    expect(ran).toMatchObject({ exit: 2, stdout: '' })
    expect(depot.calls).toEqual(['POST /v1/stages', 'DELETE /v1/stages/s1'])
  })

  it('exits with 1 where there is no folder', async () => {
    await using depot = await recordedDepot(usualAnswers())
    const ran = await run(['import', 'npm', './no-such-folder', '--channel', 'npm', '--depot', depot.url], {
      environment: TOKEN,
    })
    expect(ran).toMatchObject({ exit: 1, stdout: '' })
    expect(ran.stderr).toMatch(/^depot: The system refused: ENOENT/)
    expect(depot.calls).toEqual([])
  })
})

const TAKES_MANIFESTS = {
  'POST /v1/stages/s1/channels/npm/manifests': ({ body }: Asked): Recorded => {
    const lines = body.toString().trim().split('\n')
    return { body: { manifests: lines.map((line) => digestOf(line)), missing: 0 } }
  },
}

async function write(folder: string, path: string, text: string): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true })
  await writeFile(join(folder, path), text)
}
