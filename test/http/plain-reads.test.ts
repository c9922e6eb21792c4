/**
 * The way past the framework is invisible: a plain read gets what it would get on the long way, header for header, also
 * where it is refused, and is counted as any other.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Answer } from '../support/exchange.ts'
import { publish } from '../support/publish.ts'
import { FILES, hexOf, type ReadFixture, readFixture, SMALL } from './read-fixture.ts'
import { type Asking, asking } from './well-formed.ts'

let fixture: ReadFixture
let anybody: Asking
let pin = ''

beforeAll(async () => {
  fixture = await readFixture({ answerCacheMb: 0 })
  anybody = withoutToken(fixture)
  pin = fixture.generations[0].gid
})
afterAll(async () => {
  await fixture[Symbol.asyncDispose]()
})

function withoutToken({ depot }: Pick<ReadFixture, 'depot'>): Asking {
  const ask = asking(depot)
  return async (path, more = {}) =>
    await ask(path, { ...more, headers: { authorization: '', ...more.headers } })
}

function headersOf(answer: Answer): readonly string[] {
  const pairs: string[] = []
  for (let at = 0; at < answer.rawHeaders.length; at += 2)
    pairs.push(`${answer.rawHeaders[at]?.toLowerCase()}: ${answer.rawHeaders[at + 1]}`)
  return pairs.filter((pair) => !pair.startsWith('date: ')).sort()
}

/** A problem names its own request, in as many characters as it takes. */
function steadyOf(answer: Answer): readonly string[] {
  return headersOf(answer).filter((pair) => answer.status < 400 || !pair.startsWith('content-length: '))
}

function bodyOf(answer: Answer): string {
  return answer.status < 400 ? answer.body.toString('hex') : answer.text.replace(/"req-[^"]*"/g, '"req"')
}

const CHANNEL = '/g/PIN/v1/channels/stable'
const PLAIN = [
  `${CHANNEL}/files/hello/1.0.0/small.txt`,
  `${CHANNEL}/files/hello/1.0.0/empty`,
  `${CHANNEL}/manifests/hello/1.0.0`,
]
const OTHERS = [
  `${CHANNEL}/files/hello/1.0.0/deep/large%20file%20%C3%A9.bin`,
  `${CHANNEL}/files/hello/1.0.0/small%2Etxt`,
  `${CHANNEL}/files/hello/1.0.0/small.txt?x=1`,
  `${CHANNEL}/files/hello/1.0.0/small.txt/`,
  `${CHANNEL}/files/hello/1.0.0//small.txt`,
  `${CHANNEL}/files/hello/1.0.0/none`,
  `${CHANNEL}/files/hello/1.0.0/`,
  `${CHANNEL}/files/hello/9.0.0/small.txt`,
  `${CHANNEL}/files/constructor/1.0.0/small.txt`,
  `${CHANNEL}/manifests/hello/9.0.0`,
  `${CHANNEL}/manifests/hello/1.0.0/`,
  '/g/PIN/v1/channels/none/manifests/hello/1.0.0',
  '/g/PIN/v1/channels/constructor/manifests/hello/1.0.0',
  '/g/PIN/v1/channels/other/manifests/%40scope%2Fname/0.1.0-rc.1',
  '/g/g1.aaaaaaaaaaaa.0123456789abcdef/v1/channels/stable/manifests/hello/1.0.0',
  '/g/g9/v1/channels/stable/manifests/hello/1.0.0',
  '/v1/channels/stable/manifests/hello/1.0.0',
]

describe.each([...PLAIN, ...OTHERS])('%s', (path) => {
  it('is answered as on the long way', async () => {
    const url = path.replace('PIN', pin)
    // A condition that asks for nothing here takes the long way.
    const long = await anybody(url, { headers: { 'if-match': '*' } })
    for (let round = 0; round < 2; round += 1) {
      const plain = await anybody(url)
      expect(plain.status).toBe(long.status)
      expect(steadyOf(plain)).toEqual(steadyOf(long))
      expect(bodyOf(plain)).toBe(bodyOf(long))
    }
  })
})

describe('a plain read', () => {
  it('gives the bytes, of the head and of what was before it', async () => {
    for (const { gid } of fixture.generations) {
      const answer = await anybody(`/g/${gid}/v1/channels/stable/files/hello/1.0.0/small.txt`)
      expect([answer.status, answer.header('depot-generation')]).toEqual([200, gid])
      expect(answer.body.equals(FILES['small.txt'] ?? Buffer.alloc(0))).toBe(true)
    }
  })

  it.each(PLAIN)('of %s is counted under its route', async (path) => {
    const route = path
      .replace('PIN', ':gid')
      .replace('stable', ':channel')
      .replace('hello/1.0.0', ':name/:version')
      .replace(/:version\/.*/, ':version/*')
    const before = await counted(route)
    await anybody(path.replace('PIN', pin))
    await anybody(path.replace('PIN', pin), { headers: { 'if-match': '*' } })
    expect(await counted(route)).toBe(before + 2)
  })

  it('does not pass by a token where reads are closed', async () => {
    await using closed = await readFixture({ reads: 'token', answerCacheMb: 0 })
    const url = `/g/${closed.generations[0].gid}/v1/channels/stable/files/hello/1.0.0/small.txt`
    expect((await closed.ask(url)).status).toBe(200)
    expect((await withoutToken(closed)(url)).status).toBe(401)
  })

  it('is answered again from the ready answers where there are any', async () => {
    await using ready = await readFixture()
    const url = `/g/${ready.generations[0].gid}/v1/channels/stable/files/hello/1.0.0/small.txt`
    const answers = [await withoutToken(ready)(url), await withoutToken(ready)(url)] as const
    expect(headersOf(answers[1])).toEqual(headersOf(answers[0]))
    expect((await withoutToken(ready)('/metrics')).text).toMatch(/^depot_http_ready_answers_total 1$/m)
  })

  it('finds a release among thousands, and the type that its file has', async () => {
    const mediaType = 'text/x-hello'
    const blob = { digest: `sha256:${hexOf(SMALL)}`, size: SMALL.length }
    const staging = await fixture.depot.client.openStage()
    const manifests = Array.from({ length: 3_000 }, (_, at) => ({
      name: `package-${at}`,
      version: '1.0.0',
      files: [{ path: 'a', ...blob, mediaType }],
    }))
    await staging.putAll('stable', manifests as never)
    const { gid } = (await staging.commit()).generation
    for (const at of [0, 1_234, 2_999]) {
      const answer = await anybody(`/g/${gid}/v1/channels/stable/files/package-${at}/1.0.0/a`)
      expect([answer.status, answer.header('content-type')]).toEqual([200, mediaType])
    }
    await publish(fixture.depot.client, { name: 'later', version: '1.0.0' })
  })
})

async function counted(route: string): Promise<number> {
  const label = `method="GET",route="${route}",status="200"`
  const lines = (await anybody('/metrics')).text.split('\n')
  const line = lines.find((text) => text.startsWith(`depot_http_request_duration_seconds_count{${label}}`))
  return Number(line?.split(' ').at(-1) ?? 0)
}
