/**
 * Floors and pins in headers and URLs on one node: what it cannot know does not exist, and every answer is immediate
 * (PROTOCOL §2, §5, "Nasty edge cases" 25 and 26).
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hexOf, type ReadFixture, readFixture, SMALL } from './read-fixture.ts'

let fixture: ReadFixture
let gids: Readonly<Record<string, string>> = {}

beforeAll(async () => {
  fixture = await readFixture()
  const [first, second, third] = fixture.generations.map(({ gid }) => gid)
  const [, lineage = ''] = (third ?? '').split('.')
  gids = {
    first: first ?? '',
    second: second ?? '',
    head: third ?? '',
    ahead: `g4.${lineage}.0123456789abcdef`,
    'far ahead': `g999999999999999.${lineage}.0123456789abcdef`,
    'of another digest': `g2.${lineage}.0123456789abcdef`,
    "the head's number with another digest": `g3.${lineage}.0123456789abcdef`,
    foreign: 'g1.aaaaaaaaaaaa.0123456789abcdef',
    'foreign and far ahead': 'g999999999999999.zzzzzzzzzzzz.0123456789abcdef',
  }
})
afterAll(async () => {
  await fixture[Symbol.asyncDispose]()
})

/** As long as an answer may take that waits for nothing, on a busy machine. */
const AT_ONCE_MS = 1_000
const PATHS = [
  '/v1/head',
  '/v1/channels',
  '/v1/channels/stable/catalog',
  '/v1/channels/stable/manifests/hello',
  '/v1/channels/stable/manifests/hello/1.0.0',
  '/v1/channels/stable/files/hello/1.0.0/small.txt',
  '/v1/generations/1',
]

async function askAtOnce(
  path: string,
  headers: Readonly<Record<string, string>>,
): ReturnType<ReadFixture['ask']> {
  const begun = performance.now()
  // Whatever it says about waiting.
  const answer = await fixture.ask(path, { headers: { ...headers, prefer: 'wait=20' } })
  expect(performance.now() - begun).toBeLessThan(AT_ONCE_MS)
  return answer
}

describe('Depot-Min-Generation', () => {
  it.each([
    ['first', 200, ''],
    ['head', 200, ''],
    ['ahead', 412, 'generation-unknown'],
    ['far ahead', 412, 'generation-unknown'],
    // Told by its number alone: the head is newer, whatever was meant.
    ['of another digest', 200, ''],
    ["the head's number with another digest", 412, 'generation-unknown'],
    ['foreign', 412, 'lineage-foreign'],
    ['foreign and far ahead', 412, 'lineage-foreign'],
  ])('that is %s is answered with %i at once', async (which, status, problem) => {
    for (const path of PATHS) {
      const answer = await askAtOnce(path, { 'depot-min-generation': gids[which] ?? '' })
      expect([path, answer.status]).toEqual([path, status])
      expect(answer.header('depot-generation')).toBe(gids['head'])
      if (status === 200) continue
      expect(answer.problem).toBe(problem)
      expect(answer.json()).toMatchObject({ wanted: gids[which], generation: gids['head'] })
    }
  })

  it('may say `head`', async () => {
    expect((await askAtOnce('/v1/head', { 'depot-min-generation': 'head' })).status).toBe(200)
  })

  it('is held against a pin, which must satisfy it', async () => {
    const ask = async (pin: string, floor: string): Promise<readonly [number, string]> => {
      const headers = { 'depot-min-generation': gids[floor] ?? '' }
      const answer = await askAtOnce(`/g/${gids[pin]}/v1/channels`, headers)
      return [answer.status, answer.status === 200 ? '' : answer.problem]
    }
    expect(await ask('head', 'first')).toEqual([200, ''])
    expect(await ask('head', 'head')).toEqual([200, ''])
    expect(await ask('first', 'head')).toEqual([412, 'pin-below-floor'])
    expect(await ask('first', 'ahead')).toEqual([412, 'generation-unknown'])
    expect(await ask('first', 'foreign')).toEqual([412, 'lineage-foreign'])
  })

  it('may say `head` to a pin, which must then be the head', async () => {
    const ask = async (pin: string): Promise<readonly [number, string]> => {
      const headers = { 'depot-min-generation': 'head' }
      const answer = await askAtOnce(`/g/${gids[pin]}/v1/channels`, headers)
      return [answer.status, answer.status === 200 ? '' : answer.problem]
    }
    expect(await ask('head')).toEqual([200, ''])
    expect(await ask('first')).toEqual([412, 'pin-below-floor'])
    // Of a pin that nobody was given it does not matter what is asked beside it.
    expect(await ask('ahead')).toEqual([404, 'generation-unknown'])
    expect(await ask("the head's number with another digest")).toEqual([404, 'generation-unknown'])
  })

  it('asks nothing of bytes that are the same in every generation', async () => {
    const headers = { 'depot-min-generation': gids['head'] ?? '' }
    expect((await askAtOnce(`/o/sha256/${hexOf(SMALL)}`, headers)).status).toBe(200)
  })
})

describe.each([
  ['in the URL', (path: string, gid: string) => [`/g/${gid}${path}`, {}] as const],
  ['in a header', (path: string, gid: string) => [path, { 'depot-exact-generation': gid }] as const],
])('a pin %s', (_, pinned) => {
  it.each([
    ['first', 200, ''],
    ['second', 200, ''],
    ['head', 200, ''],
    ['ahead', 404, 'generation-unknown'],
    ['far ahead', 404, 'generation-unknown'],
    ['of another digest', 404, 'generation-unknown'],
    ["the head's number with another digest", 404, 'generation-unknown'],
    ['foreign', 404, 'lineage-foreign'],
    ['foreign and far ahead', 404, 'lineage-foreign'],
  ])('that is %s is answered with %i at once', async (which, status, problem) => {
    for (const path of PATHS) {
      const [url, headers] = pinned(path, gids[which] ?? '')
      const answer = await askAtOnce(url, headers)
      expect([path, answer.status]).toEqual([path, status])
      // I7; a refusal is true for the head.
      expect(answer.header('depot-generation')).toBe(status === 200 ? gids[which] : gids['head'])
      if (status !== 200) expect(answer.problem).toBe(problem)
    }
  })

  it.each(['g1', 'G1.aaaaaaaaaaaa.0123456789abcdef', 'g01.aaaaaaaaaaaa.0123456789abcdef', 'head', '1', '*'])(
    'that is malformed (%s) is refused',
    async (gid) => {
      for (const path of PATHS) {
        const [url, headers] = pinned(path, gid)
        const answer = await askAtOnce(url, headers)
        expect([path, answer.status, answer.problem]).toEqual([path, 400, 'bad-generation'])
      }
    },
  )
})

describe('headers that contradict themselves', () => {
  const ask = async (
    path: string,
    headers: Readonly<Record<string, string | readonly string[]>>,
  ): Promise<readonly [number, string]> => {
    const answer = await fixture.ask(path, { headers })
    return [answer.status, answer.status === 200 ? '' : answer.problem]
  }

  it('are refused when a pin or a floor comes twice, also with the same value', async () => {
    const { head = '', first = '' } = gids
    for (const name of ['depot-min-generation', 'depot-exact-generation']) {
      expect(await ask('/v1/head', { [name]: [head, first] })).toEqual([400, 'bad-generation'])
      expect(await ask('/v1/head', { [name]: [head, head] })).toEqual([400, 'bad-generation'])
      expect(await ask('/v1/head', { [name]: '' })).toEqual([400, 'bad-generation'])
    }
  })

  it('are refused when URL and header pin differently, and not when they agree', async () => {
    const { head = '', first = '' } = gids
    const path = `/g/${first}/v1/channels`
    expect(await ask(path, { 'depot-exact-generation': head })).toEqual([400, 'pin-conflict'])
    expect(await ask(path, { 'depot-exact-generation': first })).toEqual([200, ''])
  })

  it.each([
    ['GET', '/livez'],
    ['GET', '/nowhere'],
    ['GET', `/o/sha256/${'0'.repeat(64)}`],
    ['POST', '/v1/stages'],
    ['GET', '/v1/stages/s1'],
    ['DELETE', '/v1/tokens/t1'],
  ])('are refused everywhere when malformed: %s %s', async (method, path) => {
    for (const name of ['depot-min-generation', 'depot-exact-generation']) {
      const answer = await fixture.ask(path, { method, headers: { [name]: 'g1' } })
      expect([answer.status, answer.problem]).toEqual([400, 'bad-generation'])
    }
  })
})

describe('a preview with a floor', () => {
  it('is refused below it and answered above', async () => {
    const staging = await fixture.depot.client.openStage()
    const path = `/v1/stages/${staging.id}/preview/v1/channels`
    const ask = async (headers: Readonly<Record<string, string>>): Promise<number> =>
      (await fixture.ask(path, { headers })).status
    expect(await ask({ 'depot-min-generation': gids['head'] ?? '' })).toBe(200)
    expect(await ask({ 'depot-min-generation': gids['ahead'] ?? '' })).toBe(412)
    expect(await ask({ 'depot-exact-generation': gids['head'] ?? '' })).toBe(200)
    expect(await ask({ 'depot-exact-generation': gids['first'] ?? '' })).toBe(400)
    await staging.abort()
  })
})
