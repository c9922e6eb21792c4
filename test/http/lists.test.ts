/**
 * Lists, and what they cost: versions in pages, stages without what takes long to find, differences of channels that
 * there are, and the description of the API.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sorted } from '../../src/http/routes/sorted.ts'
import { slices } from '../../src/model/slice.ts'
import { type ReadFixture, readFixture } from './read-fixture.ts'

let fixture: ReadFixture

beforeAll(async () => {
  fixture = await readFixture()
})
afterAll(async () => {
  await fixture[Symbol.asyncDispose]()
})

describe('sorted', () => {
  it.each([0, 1, 64, 65, 129, 5_000])(
    'puts %i items in order, and lets others work meanwhile',
    async (count) => {
      const items = Array.from({ length: count }, (_, at) => (at * 7_919) % 1_009)
      let now = 0
      const work = slices({ monotonic: () => (now += 1) })
      let turns = 0
      const turn = setInterval(() => (turns += 1), 1)
      const found = await sorted(items, (a, b) => a - b, work)
      clearInterval(turn)
      expect(found).toEqual([...items].sort((a, b) => a - b))
      if (count === 5_000) expect(turns).toBeGreaterThan(0)
    },
  )
})

it('versions after one that is not in the list are refused', async () => {
  const path = '/v1/channels/stable/manifests/hello'
  const known = await fixture.ask(`${path}?after=1.1.0`)
  expect(known.json<{ releases: { version: string }[] }>().releases.map(({ version }) => version)).toEqual([
    '1.0.0',
  ])
  const unknown = await fixture.ask(`${path}?after=9.9.9`)
  expect([unknown.status, unknown.problem]).toEqual([400, 'bad-request'])
})

it('a difference in a channel that neither generation knows is not found', async () => {
  const [first, second, third] = fixture.generations
  const diff = (a: string, b: string): string => `/v1/generations/${a}/diff/${b}?channel=other`
  const absent = await fixture.ask(diff(first.gid, second.gid))
  expect([absent.status, absent.problem]).toEqual([404, 'not-found'])
  const there = await fixture.ask(diff(first.gid, third.gid))
  expect([there.status, there.lines().length]).toEqual([200, 1])
})

it('a list of stages does not tell what is missing; a stage does', async () => {
  const { id } = (await fixture.ask('/v1/stages', { method: 'POST' })).json<{ id: string }>()
  const list = (await fixture.ask('/v1/stages')).json<{ stages: Record<string, unknown>[] }>().stages
  const listed = list.find((stage) => stage['id'] === id)
  expect(listed).toMatchObject({ id, changes: 0 })
  expect(listed).not.toHaveProperty('missing')
  expect((await fixture.ask(`/v1/stages/${id}`)).json()).toMatchObject({ missing: [] })
})

it('the description tells of tokens, empty answers, uploads and paths', async () => {
  interface Operation {
    readonly security?: unknown
    readonly responses: Record<string, unknown>
    readonly parameters: { readonly name: string }[]
  }
  const { paths } = (await fixture.ask('/v1/openapi.json')).json<{
    paths: Record<string, Record<string, Operation>>
  }>()
  const token = [{ token: [] }]
  expect(paths['/v1/stages/{stage}/blobs/sha256/{hex}']?.['head']).toMatchObject({ security: token })
  expect(Object.keys(paths['/v1/stages/{stage}']?.['delete']?.responses ?? {})).toEqual(['204'])
  const file = paths['/v1/channels/{channel}/files/{name}/{version}/{path}']?.['get']
  expect(file?.parameters.map(({ name }) => name)).toEqual(['channel', 'name', 'version', 'path'])
  expect(file?.security).toBeUndefined()
  for (const operations of Object.values(paths))
    for (const [method, { security }] of Object.entries(operations))
      if (method !== 'get' && method !== 'head') expect(security).toEqual(token)
  expect(Object.keys(paths).filter((path) => path.includes('*'))).toEqual([])
})
