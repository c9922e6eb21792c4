/**
 * The stages of the depot in memory: declared blobs, uploads that go on, manifests, a commit with its key.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Digest, digestOf, digestOfHex } from '../../src/model/digest.ts'
import type { Generation, Gid } from '../../src/model/generation.ts'
import { encodeManifest } from '../../src/model/manifest.ts'
import { semverOrder } from '../../src/model/version.ts'
import { decodeBatch } from '../../src/wire/batch.ts'
import type { DeclaredBlob, StageBody } from '../../src/wire/bodies.ts'
import { json, problem } from '../wire/playing-server.ts'
import { type FakeRelease, type FakeRequest, releaseOf } from './fake-release.ts'

/** What a stage needs of the depot around it. */
export interface Around {
  readonly blobs: Map<Digest, Buffer>
  readonly generations: readonly Generation[]
  readonly head: Generation
  commit(releases: readonly FakeRelease[]): Generation
  read(fake: FakeRequest, path: string): void
}

export class FakeStage {
  readonly parts: Map<Digest, Buffer> = new Map<Digest, Buffer>()
  readonly staged: FakeRelease[] = []
  readonly keys: Map<string, Gid> = new Map<string, Gid>()
  readonly batches: number[] = []
  /** After how many bytes the next upload requests lose their connection. */
  readonly breaks: number[] = []
  state: StageBody['state'] = 'open'
  readonly #depot: Around

  constructor(depot: Around) {
    this.#depot = depot
  }

  async answer(fake: FakeRequest): Promise<boolean> {
    const { request, response, method, url } = fake
    const path = url.pathname
    if (path === '/v1/stages' && method === 'POST') json(response, this.#body())
    else if (path === '/v1/stages') json(response, { stages: [this.#body()] })
    else if (!path.startsWith('/v1/stages/s1')) return false
    else if (path === '/v1/stages/s1' && method === 'GET') json(response, this.#body())
    else if (path.startsWith('/v1/stages/s1/preview')) this.#preview(fake)
    else if (path.includes('/blobs/sha256/')) await this.#blob(fake, digestOfHex(path.slice(-64)))
    else await this.#change(fake, await bodyOf(request))
    return true
  }

  #preview(fake: FakeRequest): void {
    const [, name = '', version = '', file = ''] =
      /files\/([^/]+)\/([^/]+)\/(.+)$/.exec(fake.url.pathname) ?? []
    if (file === '') return this.#depot.read(fake, fake.url.pathname.slice('/v1/stages/s1/preview'.length))
    fake.response.end(this.#depot.blobs.get(digestOf(`${name} ${version} ${file}`)) ?? 'bytes of the preview')
  }

  async #change({ response, method, url, request }: FakeRequest, body: Buffer): Promise<void> {
    const path = url.pathname.slice('/v1/stages/s1'.length)
    if (path === '/missing') {
      return json(response, {
        missing: declaredIn(body)
          .map(({ digest }) => digest)
          .filter((digest) => !this.#depot.blobs.has(digest)),
      })
    }
    if (path === '/blobs') return this.#many(response, body)
    if (path === '/channels/stable/manifests') {
      const lines = body.toString().trimEnd().split('\n')
      const stored = lines.map((line) => this.#stage(line))
      return json(response, { manifests: stored, missing: 0 })
    }
    if (path === '/commit') return this.#commit(request, response)
    if (path.startsWith('/channels/stable/manifests/') && method === 'PUT')
      return json(response, { manifest: this.#stage(body.toString()), missing: [] })
    if (path === '' && method === 'DELETE') {
      if (this.state === 'aborted')
        return problem(response, 410, 'stage-expired', { stage: 's1', state: this.state })
      this.state = 'aborted'
    }
    response.writeHead(204).end()
  }

  #stage(text: string): Digest {
    const value = JSON.parse(text) as object
    this.staged.push(releaseOf(value))
    return encodeManifest(value, semverOrder).digest
  }

  #many(response: ServerResponse, body: Buffer): void {
    const blobs = decodeBatch(body)
    for (const { digest, bytes } of blobs) {
      if (digestOf(bytes) !== digest)
        return problem(response, 400, 'digest-mismatch', { expected: digest, found: digestOf(bytes) })
      this.#depot.blobs.set(digest, Buffer.from(bytes))
    }
    this.batches.push(blobs.length)
    json(response, { stored: blobs.map(({ digest }) => digest) })
  }

  async #blob({ request, response, method }: FakeRequest, digest: Digest): Promise<void> {
    const there = method === 'PUT' ? Buffer.alloc(0) : (this.parts.get(digest) ?? Buffer.alloc(0))
    const whole = this.#depot.blobs.get(digest)
    if (method === 'HEAD') {
      if (whole === undefined && there.length === 0) return void response.writeHead(404).end()
      const headers = { 'upload-offset': (whole ?? there).length, 'upload-complete': whole ? '?1' : '?0' }
      return void response.writeHead(204, headers).end()
    }
    if (method === 'PATCH' && Number(request.headers['upload-offset']) !== there.length) {
      const offered = Number(request.headers['upload-offset'])
      return problem(response, 409, 'offset-mismatch', { expected: there.length, offered })
    }
    const ended = await this.#receive(request, digest, there)
    const bytes = this.parts.get(digest) ?? there
    if (!ended) return
    this.parts.delete(digest)
    if (digestOf(bytes) !== digest)
      return problem(response, 400, 'digest-mismatch', { expected: digest, found: digestOf(bytes) })
    this.#depot.blobs.set(digest, bytes)
    json(response, { digest, size: bytes.length })
  }

  /** Keeps what came, also of a request that broke. */
  async #receive(request: IncomingMessage, digest: Digest, there: Buffer): Promise<boolean> {
    const most = this.breaks.shift() ?? Number.POSITIVE_INFINITY
    const { socket } = request
    const chunks: Buffer[] = [there]
    let size = 0
    try {
      for await (const piece of request.iterator({ destroyOnReturn: false })) {
        const chunk = piece as Buffer
        chunks.push(chunk)
        size += chunk.length
        if (size >= most) break
      }
    } catch {
      return false
    } finally {
      this.parts.set(digest, Buffer.concat(chunks))
    }
    if (size >= most) socket.destroy()
    return size < most
  }

  #commit({ headers }: IncomingMessage, response: ServerResponse): void {
    const key = String(headers['idempotency-key'])
    const match = headers['if-match']
    if (match !== undefined && match !== `"${this.#depot.head.gid}"`) {
      const details = { expected: match, generation: this.#depot.head.gid }
      return problem(response, 412, 'base-changed', details)
    }
    const before = this.keys.get(key)
    const changed = before !== undefined || this.staged.length > 0
    if (before === undefined && changed) this.#depot.commit(this.staged)
    this.keys.set(key, before ?? this.#depot.head.gid)
    const generation = this.#depot.generations.find(({ gid }) => gid === this.keys.get(key))
    response
      .writeHead(changed ? 201 : 200, { 'content-type': 'application/json' })
      .end(JSON.stringify(generation))
  }

  #body(): StageBody {
    return {
      id: 's1',
      base: this.#depot.head.gid,
      state: this.state,
      created: '2026-11-22T00:00:00.000Z',
      expires: '2026-11-23T00:00:00.000Z',
      message: '',
      owner: 'tests',
      members: [],
      changes: this.staged.length,
      missing: [],
    }
  }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** A short list is one JSON value, a long one lines. */
export function declaredIn(body: Buffer): readonly DeclaredBlob[] {
  const text = body.toString()
  if (text.startsWith('{"blobs"')) return (JSON.parse(text) as { blobs: DeclaredBlob[] }).blobs
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as DeclaredBlob)
}
