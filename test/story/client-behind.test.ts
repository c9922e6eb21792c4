/**
 * The SDK and the CLI in front of replicas of which one is killed, cut off or behind: what they were asked for they
 * bring to its end, once, and never from an older generation than they have seen (PROTOCOL §13).
 */
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { connect } from '../../src/client/index.ts'
import { runProcess } from '../cli/run.ts'
import { publish, type Wish } from '../support/publish.ts'
import { needs, programAt } from './balancer.ts'
import { type Behind, behindHaproxy, manyBytes, until } from './behind-haproxy.ts'

const LARGE = 24_000_000
/** So that it takes a second or two, and whoever is killed is in the middle. */
const SLOW = { bytesPerSecond: 12_000_000 }

let all: Behind
let version = 0

beforeEach(needs('haproxy'))

beforeAll(async () => {
  if (programAt('haproxy') !== undefined) all = await behindHaproxy()
})

afterEach(async () => {
  await all.restore()
})

afterAll(async () => {
  await all?.[Symbol.asyncDispose]()
})

/** Which of these relays has something to let through, as soon as one has. */
async function busyOne(which: 'towards' | 'beyond', side: 'up' | 'down'): Promise<number> {
  let found = -1
  await until(() => {
    found = all[which].findIndex((relay) => relay.waiting(side) > 100_000)
    return found !== -1
  })
  return found
}

/** One that no test has taken. */
function newVersion(): string {
  version += 1
  return `1.0.${version}`
}

async function publishBeside(at: number, wish: Wish): Promise<string> {
  const client = connect({ url: all.replicas[at]?.url ?? '', token: all.origin.token })
  return (await publish(client, wish)).gid
}

async function gidsOf(): Promise<readonly string[]> {
  const gids: string[] = []
  for await (const { gid } of all.origin.client.generations()) gids.push(gid)
  return gids
}

function surroundings(more: Readonly<Record<string, string>> = {}): {
  readonly environment: Readonly<Record<string, string>>
  readonly folder: string
} {
  const { url, folder, origin } = all
  return {
    folder,
    environment: { DEPOT_URL: url, DEPOT_TOKEN: origin.token, DEPOT_STATE: join(folder, 'state'), ...more },
  }
}

describe('when the replica is killed that', () => {
  it('sends a large file, the other one sends the rest', async () => {
    const large = manyBytes(LARGE)
    const wish = { name: 'sent', version: newVersion(), files: { large } }
    await publish(all.client, wish)
    await all.restore()
    const answers: string[] = []
    const client = connect({
      url: all.url,
      fetch: async (url, init) => {
        const answer = await fetch(url, init)
        const { status, headers } = answer
        const node = /^[^;]+/.exec(headers.get('depot-node') ?? '')?.[0]
        if (Number(headers.get('content-length')) > 1_000_000) answers.push(`${status} from ${node}`)
        return answer
      },
    })
    const folder = join(all.folder, 'sent')
    for (const relay of all.towards) relay.set(SLOW, 'down')
    const session = await client.session()
    const download = session.download({ channel: 'stable', ...wish, folder })
    const at = await busyOne('towards', 'down')
    await all.replicas[at]?.end('SIGKILL')
    await download
    expect((await readFile(join(folder, 'large'))).equals(large)).toBe(true)
    expect(answers).toEqual([`200 from r${at}`, `206 from r${1 - at}`])
  })

  it('takes an upload, the other one takes the rest, and the release is committed once', async () => {
    const wish = { channel: 'stable', name: 'taken', version: newVersion() }
    const folder = join(all.folder, 'taken')
    await mkdir(folder)
    const large = randomBytes(LARGE)
    await writeFile(join(folder, 'large'), large)
    const before = await gidsOf()
    for (const relay of all.beyond) relay.set(SLOW, 'up')
    const named = ['--channel', 'stable', '--name', wish.name, '--version', wish.version]
    const publishing = runProcess(['publish', folder, ...named, '--json'], surroundings())
    const at = await busyOne('beyond', 'up')
    await all.replicas[at]?.end('SIGKILL')
    const { exit, stdout, stderr } = await publishing
    expect([exit, stderr]).toEqual([0, ''])
    const { generation } = JSON.parse(stdout) as { readonly generation: string }
    expect(await gidsOf()).toEqual([generation, ...before])
    // The rest alone, and not all of it again.
    expect(all.origin.log()).toMatch(/"method":"PATCH","url":"[^"]*\/blobs\/sha256\/[^"]*","status":2/)
    const session = await all.client.session()
    expect(session.generation.gid).toBe(generation)
    const chunks: Uint8Array[] = []
    for await (const chunk of session.file('stable', wish.name, wish.version, 'large')) chunks.push(chunk)
    expect(Buffer.concat(chunks).equals(large)).toBe(true)
  })

  it('has passed a commit on but not its answer, the other one tells what came of it', async () => {
    const staging = await all.client.openStage()
    await staging.setChannel('committed', {})
    const before = await gidsOf()
    // Whatever is sent now goes through the first, and no answer comes back to it.
    all.towards[1]?.cut()
    await until(async () => /r0/.test((await fetch(`${all.url}/v1/head`)).headers.get('depot-node') ?? ''))
    all.beyond[0]?.silence('down')
    const committing = staging.commit({ message: 'once' })
    await until(async () => (await gidsOf()).length > before.length)
    await all.replicas[0]?.end('SIGKILL')
    all.towards[1]?.heal()
    const { generation, changed } = await committing
    expect(changed).toBe(true)
    expect(await gidsOf()).toEqual([generation.gid, ...before])
    // Who has committed sees it, whoever answers.
    expect((await all.client.session()).generation.gid).toBe(generation.gid)
  })
})

describe('while one replica is cut off, a job', () => {
  it('that is handed the floor of another one sees what that one published', async () => {
    await publish(all.client, { name: 'hello', version: newVersion() })
    await all.restore()
    all.beyond[1]?.cut()
    // It does not know that it misses something, and for a few seconds HAProxy goes on asking it.
    const wish = { name: 'hello', version: newVersion() }
    const gid = await publishBeside(0, wish)
    const floor = await runProcess(['floor', '--depot', all.replicas[0]?.url ?? ''], surroundings())
    expect(floor.stdout.trim()).toBe(gid)
    const behind = await fetch(`${all.replicas[1]?.url}/v1/head`)
    expect(behind.headers.get('depot-generation')).not.toBe(gid)
    const environment = { DEPOT_MIN_GENERATION: gid, DEPOT_STATE: 'none' }
    const get = ['get', wish.name, '--channel', 'stable', '--json', '--to']
    for (const to of ['one', 'two']) {
      const { exit, stdout, stderr } = await runProcess([...get, to], surroundings(environment))
      expect([exit, stderr]).toEqual([0, ''])
      expect(JSON.parse(stdout)).toMatchObject({ generation: gid, version: wish.version })
    }
    // Nobody but that replica to ask: it waits until that one has caught up.
    const url = all.replicas[1]?.url ?? ''
    const waiting = runProcess([...get, 'alone'], surroundings({ ...environment, DEPOT_URL: url }))
    await until(() => (all.replicas[1]?.log() ?? '').includes('the origin does not answer'))
    all.beyond[1]?.heal()
    expect(JSON.parse((await waiting).stdout)).toMatchObject({ generation: gid, version: wish.version })
  })

  it('that shares a folder of floors with another one is not shown what is older', async () => {
    all.beyond[1]?.cut()
    const gid = await publishBeside(0, { name: 'hello', version: newVersion() })
    const first = await runProcess(['floor'], surroundings({ DEPOT_MIN_GENERATION: gid }))
    expect(first.stdout.trim()).toBe(gid)
    // Each would be one of two, if it were not for the floor.
    const jobs = Array.from({ length: 4 }, async () => await runProcess(['floor'], surroundings()))
    for (const { stdout } of await Promise.all(jobs)) expect(stdout.trim()).toBe(gid)
  })
})
