/**
 * The description of the API, made from the schemas that validate: it is well-formed, lists every route, and what a
 * depot really answers is what it says.
 */
import type { TSchema } from 'typebox'
import Value from 'typebox/value'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf } from '../../src/model/digest.ts'
import * as schemas from '../../src/wire/schemas.ts'
import { type ReadFixture, readFixture } from './read-fixture.ts'

interface Operation {
  readonly summary?: string
  readonly tags?: readonly string[]
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required?: boolean }[]
  readonly requestBody?: object
  readonly responses?: Readonly<Record<string, object>>
  readonly security?: readonly object[]
}

interface Description {
  readonly openapi: string
  readonly info: { readonly title: string; readonly version: string }
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly securitySchemes: object }
}

let fixture: ReadFixture
let description: Description

beforeAll(async () => {
  fixture = await readFixture()
  description = (await fixture.ask('/v1/openapi.json')).json<Description>()
})
afterAll(async () => {
  await fixture[Symbol.asyncDispose]()
})

const READS = [
  '/v1/channels',
  '/v1/channels/{channel}',
  '/v1/channels/{channel}/catalog',
  '/v1/channels/{channel}/manifests/{name}',
  '/v1/channels/{channel}/manifests/{name}/{version}',
  '/v1/channels/{channel}/files/{name}/{version}/{path}',
]
const TIMES = ['/v1/head', '/v1/generations', '/v1/generations/{ref}', '/v1/generations/{ref}/diff/{other}']
const STAGE = '/v1/stages/{stage}'
const ROUTES: readonly string[] = [
  ...[...READS, ...TIMES].flatMap((path) => [`get ${path}`, `get /g/{gid}${path}`]),
  ...READS.map((path) => `get ${STAGE}/preview${path}`),
  'get /o/sha256/{hex}',
  'get /livez',
  'get /readyz',
  'get /servez',
  'get /metrics',
  'get /problems',
  'get /problems/{code}',
  'get /v1/stages',
  'post /v1/stages',
  `get ${STAGE}`,
  `delete ${STAGE}`,
  `post ${STAGE}/missing`,
  `post ${STAGE}/blobs`,
  `put ${STAGE}/blobs/sha256/{hex}`,
  `patch ${STAGE}/blobs/sha256/{hex}`,
  `head ${STAGE}/blobs/sha256/{hex}`,
  `put ${STAGE}/channels/{channel}`,
  `delete ${STAGE}/channels/{channel}`,
  `post ${STAGE}/channels/{channel}/manifests`,
  `put ${STAGE}/channels/{channel}/manifests/{name}/{version}`,
  `patch ${STAGE}/channels/{channel}/manifests/{name}/{version}`,
  `delete ${STAGE}/channels/{channel}/manifests/{name}/{version}`,
  `post ${STAGE}/commit`,
  'post /v1/rollback',
  'get /v1/keys',
  'post /v1/keys',
  'delete /v1/keys/{id}',
  'get /v1/tokens',
  'post /v1/tokens',
  'delete /v1/tokens/{id}',
  'post /v1/scrub',
  'post /v1/fork',
  'post /v1/adopt',
  'get /v1/nodes',
  'post /v1/nodes/{id}/heartbeat',
  'post /v1/nodes/{id}/leave',
  'post /v1/replication/objects',
  'get /v1/replication/log',
  'get /v1/replication/lineages',
  'get /v1/replication/origin',
  'get /v1/replication/access',
  'get /v1/replication/keys',
]

function operations(): readonly (readonly [string, Operation])[] {
  return Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => [`${method} ${path}`, operation] as const),
  )
}

describe('the OpenAPI document', () => {
  it('is one of version 3.1, with this version of the depot', () => {
    expect(description.openapi).toMatch(/^3\.1\.\d$/)
    expect(description.info).toMatchObject({
      title: 'Depot',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/) as string,
    })
  })

  it('lists every route, once', () => {
    const listed = operations().map(([name]) => name)
    expect(ROUTES.filter((route) => !listed.includes(route))).toEqual([])
    // HEAD goes with GET, but where it stands alone.
    const strangers = listed.filter((name) => !ROUTES.includes(name) && !name.startsWith('head '))
    expect(strangers).toEqual([])
  })

  it('declares each parameter of each path, and no other', () => {
    for (const [name, { parameters = [] }] of operations()) {
      const inPath = [...name.matchAll(/\{([^}]+)\}/g)].map(([, parameter]) => parameter ?? '')
      const declared = parameters.filter((parameter) => parameter.in === 'path')
      expect([name, declared.map((parameter) => parameter.name).sort((a, b) => a.localeCompare(b))]).toEqual([
        name,
        inPath.sort((a, b) => a.localeCompare(b)),
      ])
      for (const parameter of declared) expect([name, parameter.required]).toEqual([name, true])
      for (const parameter of inPath)
        expect([name, parameter]).toEqual([name, expect.stringMatching(/^[a-z]+$/)])
    }
  })

  it('says in a sentence what each operation does, and has answers for each', () => {
    for (const [name, { summary, tags, responses }] of operations()) {
      expect([name, summary]).toEqual([name, expect.stringMatching(/^[A-Z].{3,}/)])
      expect([name, tags?.length]).toEqual([name, 1])
      expect([name, Object.keys(responses ?? {}).length > 0]).toEqual([name, true])
    }
  })

  it('knows what is answered to a part of an upload', () => {
    const blob = description.paths[`${STAGE}/blobs/sha256/{hex}`]
    expect(Object.keys(blob?.['put']?.responses ?? {})).toEqual(['200', '201', '204'])
    expect(Object.keys(blob?.['patch']?.responses ?? {})).toEqual(['200', '201', '204'])
    expect(Object.keys(blob?.['head']?.responses ?? {})).toEqual(['204'])
  })

  it('has both forms of a list of blobs', () => {
    const body = description.paths[`${STAGE}/missing`]?.['post']?.requestBody
    expect(Object.keys((body as { content: object }).content)).toEqual([
      'application/json',
      'application/x-ndjson',
    ])
  })

  it('says which operations need a token', () => {
    expect(description.components.securitySchemes).toMatchObject({
      token: { type: 'http', scheme: 'bearer' },
    })
    for (const [name, { security }] of operations()) {
      const [method = '', path = ''] = name.split(' ')
      const needsToken =
        method !== 'get' && method !== 'head' ? true : /^\/v1\/(?:stages|tokens|replication|nodes)/.test(path)
      expect([name, security !== undefined]).toEqual([name, needsToken])
    }
  })

  it('holds no reference that leads nowhere', () => {
    const references = JSON.stringify(description).matchAll(/"\$ref":"#\/([^"]+)"/g)
    for (const [, pointer = ''] of references) {
      const found = pointer
        .split('/')
        .reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], description)
      expect([pointer, found !== undefined]).toEqual([pointer, true])
    }
  })
})

describe('what a depot answers', () => {
  it.each<[string, TSchema]>([
    ['/v1/head', schemas.GenerationBody],
    ['/v1/generations', schemas.GenerationsBody],
    ['/v1/generations?limit=1', schemas.GenerationsBody],
    ['/v1/generations/1', schemas.GenerationBody],
    ['/v1/channels', schemas.ChannelsBody],
    ['/v1/channels/stable', schemas.ChannelBody],
    ['/v1/channels/stable/manifests/hello?limit=1', schemas.ReleasesBody],
    ['/v1/stages', schemas.StagesBody],
    ['/v1/tokens', schemas.TokensBody],
  ])('%s is as its schema says, and has no other members', async (path, schema) => {
    const body = (await fixture.ask(path)).json()
    expect([...Value.Errors(schema, body)]).toEqual([])
    expect(Value.Clean(schema, structuredClone(body))).toEqual(body)
  })

  it('to writes is as their schemas say', async () => {
    const { ask } = fixture
    const json = async (method: string, path: string, value: unknown): Promise<unknown> => {
      const headers = { 'content-type': 'application/json' }
      return (await ask(path, { method, headers, body: JSON.stringify(value) })).json()
    }
    const expectBody = (schema: TSchema, body: unknown): void => {
      expect([...Value.Errors(schema, body)]).toEqual([])
    }
    const stage = (await json('POST', '/v1/stages', {})) as { id: string }
    expectBody(schemas.StageBody, stage)
    const at = `/v1/stages/${stage.id}`
    expectBody(
      schemas.MissingBody,
      await json('POST', `${at}/missing`, { blobs: [{ digest: digestOf(''), size: 0 }] }),
    )
    const put = await ask(`${at}/blobs/sha256/${digestOf('x').slice(7)}`, { method: 'PUT', body: 'x' })
    expectBody(schemas.StoredBody, put.json())
    const manifest = { name: 'new', version: '1.0.0', files: [] }
    expectBody(
      schemas.ManifestPutBody,
      await json('PUT', `${at}/channels/stable/manifests/new/1.0.0`, manifest),
    )
    expectBody(schemas.GenerationBody, await json('POST', `${at}/commit`, {}))
    expectBody(schemas.StageBody, (await ask(at)).json())
    expectBody(schemas.NewTokenBody, await json('POST', '/v1/tokens', { label: 'x', scopes: ['read'] }))
    expectBody(schemas.GenerationBody, await json('POST', '/v1/rollback', { to: '1' }))
  })

  it('in lines of a catalog is as the schema of a release says', async () => {
    for (const line of (await fixture.ask('/v1/channels/stable/catalog')).lines())
      expect([...Value.Errors(schemas.ReleaseBody, line)]).toEqual([])
  })
})
