/**
 * What a command remembers of a depot for the next one, and what it says when a depot cannot keep up with that.
 */
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { floorFolder } from '../../src/cli/connection.ts'
import { type Generation, type GenerationRecord, gidOf, type LineageId } from '../../src/model/generation.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import {
  BASE,
  generation,
  HEAD,
  problem,
  type Recorded,
  recordedDepot,
  usualAnswers,
} from './recorded-depot.ts'
import { run } from './run.ts'

const OTHER = 'forkedforked' as LineageId

/** The head of another lineage, far above. */
function forked(): Generation {
  const record: GenerationRecord = { ...HEAD.record, number: 1_000, lineage: OTHER }
  return { ...HEAD, gid: gidOf(record), record }
}

function head(of: Generation): Recorded {
  return { body: of, headers: { 'depot-generation': of.gid } }
}

/** A depot whose head the test changes, and which answers whatever the floor is; or refuses it. */
function changing(): { now: Recorded; readonly answers: ReturnType<typeof usualAnswers> } {
  const depot = { now: head(HEAD) }
  const ask = (): Recorded => depot.now
  return Object.assign(depot, { answers: { 'GET /v1/head': ask, 'GET /v1/head*': ask } })
}

describe('the folder of floors', () => {
  it.each([
    [{ DEPOT_STATE: 'state' }, 'http://127.0.0.1:1', '/here/state/floors'],
    [{ DEPOT_STATE: '/state' }, 'https://depot.example', '/state/floors'],
    [{ DEPOT_STATE: 'none', HOME: '/home/ada' }, 'https://depot.example', undefined],
    [{ HOME: '/home/ada' }, 'https://depot.example', '/home/ada/.local/state/depot/floors'],
    [{ HOME: '/home/ada', XDG_STATE_HOME: '/xdg' }, 'https://depot.example', '/xdg/depot/floors'],
    [{ HOME: '/home/ada' }, 'http://127.0.0.1:8740', undefined],
    [{}, 'https://depot.example', undefined],
  ] as const)('is, with %j for %s, %s', (environment, depot, expected) => {
    expect(floorFolder({ environment, folder: '/here' }, { depot })).toBe(expected)
  })
})

describe('a command', () => {
  it('is shown nothing older than an earlier one was, and says who may have done it', async () => {
    await using folder = await temporaryFolder()
    const depot = changing()
    await using server = await recordedDepot(depot.answers)
    const environment = { DEPOT_URL: server.url, DEPOT_STATE: folder.path }
    expect((await run(['floor'], { environment })).stdout).toBe(`${HEAD.gid}\n`)
    depot.now = head(BASE)
    const ran = await run(['floor', '--json'], { environment })
    expect(ran).toMatchObject({ exit: 1, stdout: '' })
    const [sentence = '', document = ''] = ran.stderr.split('\n')
    expect(sentence).toContain(
      `${BASE.gid}, although ${HEAD.gid} was seen before: a cache or load balancer in front returned an older generation`,
    )
    expect(JSON.parse(document)).toMatchObject({ type: '/problems/answer-invalid' })
    expect(server.asked.map(({ headers }) => headers['depot-min-generation'])).toEqual([
      undefined,
      HEAD.gid,
      HEAD.gid,
    ])
    // Who is told not to remember does not.
    expect((await run(['floor'], { environment: { ...environment, DEPOT_STATE: 'none' } })).exit).toBe(0)
  })

  it('holds what it is handed and what it remembers, whichever is newer', async () => {
    await using folder = await temporaryFolder()
    const depot = changing()
    await using server = await recordedDepot(depot.answers)
    const environment = { DEPOT_URL: server.url, DEPOT_STATE: folder.path }
    const newer = generation(43, 'newer')
    const handed = { ...environment, DEPOT_MIN_GENERATION: newer.gid }
    expect((await run(['floor'], { environment: handed })).exit).toBe(1)
    // What nobody has seen is not remembered.
    expect(await readdir(folder.path)).toEqual([])
    depot.now = head(newer)
    expect((await run(['floor'], { environment: handed })).exit).toBe(0)
    depot.now = head(HEAD)
    const older = { ...environment, DEPOT_MIN_GENERATION: HEAD.gid }
    expect((await run(['floor'], { environment: older })).exit).toBe(1)
    expect(server.asked.at(-1)?.headers['depot-min-generation']).toBe(newer.gid)
  })

  it('stops where the depot lost what was seen, and goes on only in the lineage that it is told', async () => {
    await using folder = await temporaryFolder()
    const depot = changing()
    const fork = forked()
    await using server = await recordedDepot({
      'GET /v1/head': ({ headers }) =>
        headers['depot-min-generation'] === HEAD.gid
          ? {
              ...problem('generation-lost', 412, { wanted: HEAD.gid, generation: fork.gid, floor: true }),
              headers: { 'depot-generation': fork.gid },
            }
          : depot.now,
    })
    const environment = { DEPOT_URL: server.url, DEPOT_STATE: folder.path }
    await run(['floor'], { environment })
    depot.now = head(fork)
    const stopped = await run(['floor'], { environment })
    expect(stopped).toMatchObject({ exit: 1, stdout: '' })
    expect(stopped.stderr).toBe(
      `depot: That generation was lost in a restore: ${HEAD.gid} is past the point where the lineage forked; ` +
        `go on from the head ${fork.gid}; to go on there all the same: --accept-lineage ${OTHER}\n`,
    )
    expect((await run(['floor', '--accept-lineage', 'anotherother'], { environment })).exit).toBe(1)
    const accepted = await run(['floor', '--accept-lineage', OTHER], { environment })
    expect(accepted).toEqual({ exit: 0, stdout: `${fork.gid}\n`, stderr: '' })
    expect(await run(['floor'], { environment })).toEqual(accepted)
  })

  it('stops where the depot never had what was seen', async () => {
    const members = { wanted: HEAD.gid, generation: BASE.gid, floor: true }
    await using server = await recordedDepot({ 'GET /v1/head': problem('generation-unknown', 412, members) })
    const environment = { DEPOT_URL: server.url, DEPOT_MIN_GENERATION: HEAD.gid }
    const { exit, stderr } = await run(['floor'], { environment })
    expect(exit).toBe(1)
    expect(stderr).toContain('if the depot was brought back from a copy, this is lost')
  })

  it('does not go on without a floor that it cannot read', async () => {
    await using folder = await temporaryFolder()
    await using server = await recordedDepot(usualAnswers())
    const environment = { DEPOT_URL: server.url, DEPOT_STATE: folder.path }
    await run(['floor'], { environment })
    const floors = join(folder.path, 'floors')
    const [file = ''] = await readdir(floors)
    await writeFile(join(floors, file), '')
    const { exit, stderr } = await run(['floor'], { environment })
    expect(exit).toBe(1)
    expect(stderr).toContain(join(floors, file))
  })

  it('goes on without remembering where the usual folder cannot be used, and says so once', async () => {
    await using folder = await temporaryFolder()
    const depot = changing()
    await using server = await recordedDepot(depot.answers)
    const home = join(folder.path, 'home')
    await writeFile(home, 'no folder')
    // Another name of this machine, which is not taken for it.
    const url = server.url.replace('127.0.0.1', '0.0.0.0')
    const environment = { DEPOT_URL: url, HOME: home }
    const ran = await run(['floor'], { environment })
    expect([ran.exit, ran.stdout]).toEqual([0, `${HEAD.gid}\n`])
    expect(ran.stderr).toMatch(
      /^depot: what is seen of this depot is not remembered: \S+floors cannot be used \(ENOTDIR[^\n]+; set DEPOT_STATE [^\n]+\n$/,
    )
    // What is handed on counts all the same.
    depot.now = head(BASE)
    expect(
      (await run(['floor'], { environment: { ...environment, DEPOT_MIN_GENERATION: HEAD.gid } })).exit,
    ).toBe(1)
    const named = await run(['floor'], { environment: { DEPOT_URL: url, DEPOT_STATE: home } })
    expect([named.exit, named.stdout]).toEqual([1, ''])
    expect(named.stderr).toContain('The data folder cannot be used')
  })

  it('does not go on without a floor that it cannot understand, in the usual folder either', async () => {
    await using folder = await temporaryFolder()
    await using server = await recordedDepot(usualAnswers())
    const environment = { DEPOT_URL: server.url.replace('127.0.0.1', '0.0.0.0'), XDG_STATE_HOME: folder.path }
    expect((await run(['floor'], { environment })).stderr).toBe('')
    const floors = join(folder.path, 'depot', 'floors')
    const [file = ''] = await readdir(floors)
    await writeFile(join(floors, file), '')
    expect((await run(['floor'], { environment })).exit).toBe(1)
  })

  it('that is put off for too long says by whom, with the problem that it was told', async () => {
    const behind = problem('generation-behind', 503, { wanted: HEAD.gid, generation: BASE.gid })
    await using server = await recordedDepot({
      'GET /v1/head': {
        ...behind,
        headers: { 'content-type': 'application/problem+json', 'retry-after': '120' },
      },
    })
    const environment = { DEPOT_URL: server.url, DEPOT_MIN_GENERATION: HEAD.gid }
    const { exit, stdout, stderr } = await run(['get', 'x', '--channel', 'stable', '--json'], { environment })
    expect({ exit, stdout }).toEqual({ exit: 1, stdout: '' })
    const [sentence = '', document = ''] = stderr.split('\n')
    expect(sentence).toMatch(/^depot: This node does not have the generation yet: g42\.\S+ was asked for/)
    expect(JSON.parse(document)).toMatchObject({
      type: '/problems/generation-behind',
      wanted: HEAD.gid,
      generation: BASE.gid,
    })
  })
})
