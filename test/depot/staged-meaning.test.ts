/**
 * What a stage means is decided when it is staged: nothing that was acknowledged is dropped without a word.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { publish, releaseOf } from '../support/publish.ts'
import { runningDepot, type TestDepot } from '../support/running-depot.ts'
import { collect } from '../wire/collect.ts'

const ONE = { name: 'hello', version: '1.0.0' }
const TWO = { name: 'hello', version: '2.0.0' }
let depot: TestDepot

beforeEach(async () => {
  depot = await runningDepot()
})

afterEach(async () => {
  await depot[Symbol.asyncDispose]()
})

async function staged(
  ...wishes: readonly (typeof ONE)[]
): Promise<Awaited<ReturnType<TestDepot['client']['openStage']>>> {
  const staging = await depot.client.openStage()
  for (const wish of wishes) {
    const { manifest, sources } = releaseOf(wish)
    await staging.upload(sources)
    await staging.put('stable', manifest)
  }
  return staging
}

async function versions(): Promise<readonly string[]> {
  const session = await depot.client.session()
  return (await collect(session.catalog('stable'))).map(({ version }) => version)
}

describe('a release that is put while the head offers it', () => {
  it('collides with one who takes it away before the commit', async () => {
    await publish(depot.client, ONE)
    const again = await staged(ONE)
    const other = await depot.client.openStage()
    await other.remove('stable', ONE.name, ONE.version)
    await other.commit()
    await expect(again.commit()).rejects.toMatchObject({ code: 'conflict' })
  })

  it('keeps the mark that it has, and changes nothing', async () => {
    await publish(depot.client, ONE)
    const marking = await depot.client.openStage()
    await marking.mark('stable', ONE.name, ONE.version, { status: 'yanked', reason: 'it was wrong' })
    const { generation } = await marking.commit()
    const again = await staged(ONE)
    expect(await again.commit()).toEqual({ generation, changed: false })
  })
})

describe('a stage that takes a channel away', () => {
  it('takes nothing for it any more', async () => {
    await publish(depot.client, ONE)
    const staging = await depot.client.openStage()
    await staging.removeChannel('stable')
    const { manifest } = releaseOf(TWO)
    await expect(staging.put('stable', manifest)).rejects.toMatchObject({ code: 'bad-request' })
  })

  it('forgets what it did to its releases before', async () => {
    await publish(depot.client, ONE)
    const staging = await staged(TWO)
    await staging.removeChannel('stable')
    expect((await staging.show()).changes).toBe(1)
    await staging.commit()
    await expect(versions()).rejects.toMatchObject({ code: 'not-found' })
  })
})

describe('two manifests for one release in one batch', () => {
  it('are refused when they differ, and none of the batch is staged', async () => {
    const staging = await depot.client.openStage()
    const [a, b] = [
      releaseOf({ ...ONE, summary: 'one' }).manifest,
      releaseOf({ ...ONE, summary: 'two' }).manifest,
    ]
    await expect(staging.putAll('stable', [a, b])).rejects.toMatchObject({ code: 'manifest-invalid' })
    expect((await staging.show()).changes).toBe(0)
  })

  it('are one when they are the same', async () => {
    const staging = await staged(ONE)
    const { manifest } = releaseOf(ONE)
    await staging.putAll('stable', [manifest, manifest])
    await staging.commit()
    expect(await versions()).toEqual(['1.0.0'])
  })
})

describe('a preview', () => {
  it('shows each change at once, and just what is then committed', async () => {
    const staging = await staged(ONE)
    const shown = async (): Promise<readonly string[]> => {
      const session = await staging.preview()
      return (await collect(session.catalog('stable'))).map(({ version }) => version)
    }
    expect(await shown()).toEqual(['1.0.0'])
    const { manifest, sources } = releaseOf(TWO)
    await staging.upload(sources)
    await staging.put('stable', manifest)
    expect(await shown()).toEqual(['1.0.0', '2.0.0'])
    await staging.commit()
    expect(await versions()).toEqual(['1.0.0', '2.0.0'])
  })
})
