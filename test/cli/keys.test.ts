/** `depot key`, and whom a command believes: by option, by the environment, by what was kept. */
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { KeysBody } from '../../src/wire/keys.ts'
import { publish } from '../support/publish.ts'
import { runningDepot, type TestDepot } from '../support/running-depot.ts'
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts'
import { linesOf, type Ran, run } from './run.ts'

const NOBODY = `k${'0'.repeat(32)}`

let depot: TestDepot
let folder: TemporaryFolder

beforeEach(async () => {
  depot = await runningDepot()
  folder = await temporaryFolder()
})
afterEach(async () => {
  await depot[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

async function cli(words: readonly string[], environment: Record<string, string> = {}): Promise<Ran> {
  const { url, token } = depot
  const usual = { DEPOT_URL: url, DEPOT_TOKEN: token, DEPOT_STATE: join(folder.path, 'state') }
  return await run(words, { environment: { ...usual, ...environment } })
}

describe('depot key', () => {
  it('lists, rotates and retires', async () => {
    const [first] = linesOf((await cli(['key', 'list', '--json'])).stdout) as [KeysBody['keys'][number]]
    const rotated = await cli(['key', 'rotate', '--json'])
    const [{ current }] = linesOf(rotated.stdout) as [KeysBody]
    expect(current).not.toBe(first.id)
    const listed = (await cli(['key', 'list'])).stdout.split('\n')
    expect(listed[0]).toMatch(new RegExp(`^${first.id}  retiring  since .*, until `))
    expect(listed[1]).toMatch(new RegExp(`^${current}  current  since `))
    expect(await cli(['key', 'retire', first.id])).toMatchObject({ exit: 0 })
    expect(await cli(['key', 'retire', first.id])).toMatchObject({ exit: 4 })
    expect(await cli(['key', 'retire', current])).toMatchObject({ exit: 1 })
    expect(await cli(['key', 'retire', 'nonsense'])).toMatchObject({ exit: 2 })
    expect(await cli(['key', 'rotate'], { DEPOT_TOKEN: 'depot_nobody' })).toMatchObject({ exit: 1 })
  })
})

describe('a command', () => {
  it('believes the key that it was told, and what that leads to, and no other', async () => {
    await publish(depot.client, { name: 'hello', version: '1.0.0' })
    const { current } = await depot.client.keys()
    for (const [words, environment, exit] of [
      [['--key', current], {}, 0],
      [[], { DEPOT_KEY: current }, 0],
      [['--key', NOBODY], {}, 1],
      [[], { DEPOT_KEY: NOBODY }, 1],
      [['--key', current], { DEPOT_KEY: NOBODY }, 0],
      [['--key', 'nonsense'], {}, 2],
      [[], { DEPOT_KEY: 'nonsense' }, 2],
    ] as const)
      expect([words, environment, (await cli(['floor', ...words], environment)).exit]).toEqual([
        words,
        environment,
        exit,
      ])
    await depot.client.rotateKey(current)
    expect(await cli(['floor', '--key', current])).toMatchObject({ exit: 0 })
  })

  it('refuses the key that it was told in the words of what to do, and accepts no key that is not there', async () => {
    const { current } = await depot.client.keys()
    const refused = await cli(['floor', '--key', NOBODY])
    expect(refused.stderr).toContain(`--accept-key ${current}`)
    expect(await cli(['floor', '--accept-key', NOBODY])).toMatchObject({ exit: 1 })
    expect(await cli(['floor', '--accept-key', current])).toMatchObject({ exit: 0 })
    expect(await cli(['floor', '--accept-key', 'nonsense'])).toMatchObject({ exit: 2 })
  })
})
