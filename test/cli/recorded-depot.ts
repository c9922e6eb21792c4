/**
 * A tiny HTTP server that plays the part of a depot from a table of recorded answers, and remembers what it was asked.
 * It knows one generation. What is not in the table is a 404 problem.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { keyOf } from '../../src/metaset/key.ts'
import { emptyChannel, emptyMetaset, encodeMetaset } from '../../src/metaset/metaset.ts'
import { encodeRelease, type Release } from '../../src/metaset/release.ts'
import type { Tree } from '../../src/metaset/tree.ts'
import { type Digest, digestOf, hexOf } from '../../src/model/digest.ts'
import { type Generation, type GenerationRecord, gidOf, type LineageId } from '../../src/model/generation.ts'
import { decodeBatch } from '../../src/wire/batch.ts'
import type { ReleaseBody } from '../../src/wire/bodies.ts'
import { SALT } from '../metaset/memory-nodes.ts'
import { reference } from '../metaset/reference.ts'

export interface Asked {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: Buffer
}

export interface Recorded {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer | object
}

/** By method and path, like `GET /v1/head`. */
export type Answers = Record<string, Recorded | ((asked: Asked) => Recorded)>

export interface RecordedDepot extends AsyncDisposable {
  readonly url: string
  readonly asked: readonly Asked[]
  /** `POST /v1/stages`, ... in the order they came. */
  readonly calls: readonly string[]
}

export const LINEAGE = 'k3x7m2q5wz4a' as LineageId
export const BASE: Generation = generation(41, 'before')
export const HEAD: Generation = generation(42, 'publish left-pad 1.3.0')

export function generation(
  number: number,
  message: string,
  metaset: Digest = digestOf(`metaset ${number}`),
): Generation {
  const record: GenerationRecord = {
    v: 1,
    number,
    lineage: LINEAGE,
    parent: null,
    parentDigest: null,
    metaset,
    created: '2026-11-22T04:22:08.000Z',
    publisher: 'ada',
    message,
  }
  return { gid: gidOf(record), record, state: 'active', signatures: [] }
}

/** What every depot answers: head, readiness, and a stage `s1` that takes everything. */
export function usualAnswers(head: Generation = HEAD): Answers {
  const stage = {
    id: 's1',
    base: head.gid,
    state: 'open',
    created: HEAD.record.created,
    expires: '2026-11-23T04:22:08.000Z',
    message: '',
    owner: 't1',
    members: [],
    changes: 0,
    missing: [],
  }
  return {
    'GET /v1/head': { body: head, headers: { 'depot-generation': head.gid } },
    [`GET /v1/generations/${head.gid}`]: { body: head },
    [`GET /v1/generations/${BASE.gid}`]: { body: BASE },
    'GET /readyz': { body: {} },
    'POST /v1/stages': { status: 201, body: stage },
    'GET /v1/stages': { body: { stages: [stage] } },
    'GET /v1/stages/s1': { body: stage },
    'DELETE /v1/stages/s1': { status: 204 },
    'POST /v1/stages/s1/missing': ({ body }) => {
      const { blobs } = JSON.parse(body.toString()) as { blobs: { digest: string }[] }
      return { body: { missing: blobs.map(({ digest }) => digest) } }
    },
    'POST /v1/stages/s1/blobs': ({ body }) => ({
      body: { stored: decodeBatch(body).map(({ digest }) => digest) },
    }),
    'POST /v1/stages/s1/commit': { status: 201, body: generation(43, 'done') },
  }
}

/** A metaset in which the channel `unstable` has these releases, and the answers that bring it and all its nodes. */
export function offering(releases: readonly ReleaseBody[]): {
  readonly metaset: Digest
  readonly tree: Tree
  readonly catalog: string
  readonly answers: Answers
} {
  const lines = new Map(
    releases.map((line) => [keyOf(line.name, line.version), encodeRelease(line as Release)] as const),
  )
  const { tree, nodes } = reference(lines, SALT)
  const unstable = { ...emptyChannel('semver'), releases: tree }
  const metaset = encodeMetaset({ ...emptyMetaset(SALT), channels: { unstable } })
  const objects = [[digestOf(metaset), metaset] as const, ...nodes]
  const headers = { 'depot-generation': 'any' }
  return {
    metaset: digestOf(metaset),
    tree,
    catalog: [...lines.entries()]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, line]) => line.toString())
      .join(''),
    answers: Object.fromEntries(
      objects.map(([digest, body]) => [`GET /o/sha256/${hexOf(digest)}`, { headers, body }]),
    ),
  }
}

export function problem(code: string, status: number, members: object = {}): Recorded {
  return {
    status,
    headers: { 'content-type': 'application/problem+json' },
    body: { type: `/problems/${code}`, title: code, status, detail: '', ...members },
  }
}

/** Paths may end in `*`, which stands for the rest. */
export async function recordedDepot(answers: Answers): Promise<RecordedDepot> {
  const asked: Asked[] = []
  const server = createServer((request, response) => {
    void play(request, response, answers, asked)
  })
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    get calls() {
      return asked.map(({ method, path }) => `${method} ${path}`)
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function play(
  request: IncomingMessage,
  response: ServerResponse,
  answers: Answers,
  asked: Asked[],
): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const { method = '', url = '', headers } = request
  const one = { method, path: url, headers, body: Buffer.concat(chunks) }
  asked.push(one)
  const key = `${method} ${url}`
  const prefix = Object.keys(answers).find((path) => path.endsWith('*') && key.startsWith(path.slice(0, -1)))
  const found = answers[key] ?? answers[prefix ?? ''] ?? problem('not-found', 404, { what: url })
  const { status = 200, headers: extra = {}, body } = typeof found === 'function' ? found(one) : found
  const isText = typeof body === 'string' || Buffer.isBuffer(body)
  response.writeHead(status, {
    'content-type': isText ? 'application/x-ndjson' : 'application/json',
    'depot-generation': /^\/g\/([^/]+)/.exec(url)?.[1] ?? HEAD.gid,
    ...extra,
  })
  if (body === undefined) response.end()
  else response.end(isText ? body : JSON.stringify(body))
}
