/**
 * Backups, restores and takeovers on the command line: what they say to people, and how they are used wrongly.
 */
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { publish } from '../support/publish.ts'
import { runningDepot, type TestDepot } from '../support/running-depot.ts'
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts'
import { type Ran, run } from './run.ts'

let folder: TemporaryFolder
let depot: TestDepot
let backup: string

beforeEach(async () => {
  folder = await temporaryFolder()
  depot = await runningDepot()
  backup = join(folder.path, 'backup')
})
afterEach(async () => {
  await depot[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

async function backedUp(): Promise<Ran> {
  return await run(['backup', 'create', '--data', depot.data, '--depot', depot.url, '--to', backup])
}

describe('depot backup', () => {
  it('says what it has written, and that it is whole', async () => {
    const { gid } = await publish(depot.client, { name: 'hello', version: '1.0.0' })
    const first = await backedUp()
    expect([first.exit, first.stderr]).toEqual([0, ''])
    expect(first.stdout).toMatch(
      new RegExp(
        `^${gid} of the running depot: 2 blobs and 2 nodes written, [\\d.]+ bytes, 1 older generation, 2 tokens`,
      ),
    )
    expect((await backedUp()).stdout).toContain('0 blobs and 0 nodes written')
    const checked = await run(['backup', 'verify', backup])
    expect(checked.stdout).toMatch(
      new RegExp(`^head ${gid}, 2 generations and 2 tokens\\n\\d+ blobs checked, .*, 0 damaged\\n$`),
    )
    const doctor = await run(['doctor', '--data', backup, '--depot', depot.url])
    expect(doctor.stdout).toMatch(/^warn +kind of folder: it is a backup/m)
  })

  it('has to know where to, and needs a token', async () => {
    expect((await run(['backup', 'create', '--depot', depot.url])).exit).toBe(2)
    expect((await run(['backup', 'verify'])).exit).toBe(2)
    const nobody = join(folder.path, 'nobody')
    const ran = await run(['backup', 'create', '--data', nobody, '--depot', depot.url, '--to', backup])
    expect([ran.exit, ran.stderr]).toEqual([1, expect.stringContaining('there is no depot')])
    expect((await run(['backup', 'verify', nobody])).stderr).toContain('is no backup')
  })
})

describe('depot restore', () => {
  it('says what comes next', async () => {
    const { gid } = await publish(depot.client, { name: 'hello', version: '1.0.0' })
    await backedUp()
    const words = (name: string, ...more: string[]): string[] =>
      ['restore', '--from', backup, '--data', join(folder.path, name)].concat(more)
    const plain = await run(words('a'))
    expect(plain.stdout).toContain(`${gid} restored: 2 blobs and 2 nodes`)
    expect(plain.stdout).toContain('--allow-unverified')
    expect((await run(words('b', '--fork'))).stdout).toContain('the first start begins another lineage')
    const again = await run(words('a'))
    expect([again.exit, again.stderr]).toEqual([1, expect.stringContaining('there is something already')])
  })
})

describe('depot takeover', () => {
  it('is refused where a depot runs, or none is', async () => {
    expect((await run(['takeover', '--data', depot.data])).stderr).toContain('already running')
    const nothing = join(folder.path, 'nothing')
    expect((await run(['takeover', '--data', nothing])).stderr).toContain('there is no depot')
  })
})
