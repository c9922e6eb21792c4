/**
 * A depot in memory that speaks as much of the protocol as a client can notice, over real HTTP; a test may take over
 * any request before the depot sees it, to lie, to break the connection or to be late.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Digest, digestOf, digestOfHex, hexOf } from '../../src/model/digest.ts'
import { encodeRecord, type Generation, type Gid, gidOf, type LineageId } from '../../src/model/generation.ts'
import type { SigningKey } from '../../src/model/keys/key.ts'
import { type KeyRing, standingsOf } from '../../src/model/keys/ring.ts'
import { keysBodyOf } from '../../src/wire/keys.ts'
import { BEGAN_MS } from '../model/keys/some-keys.ts'
import { json, type Playing, playingRaw, problem } from '../wire/playing-server.ts'
import {
  catalogOf,
  channelOf,
  type FakeRelease,
  type FakeRequest,
  offerOf,
  releaseOf,
} from './fake-release.ts'
import { FakeStage } from './fake-stage.ts'

export const LINEAGE = 'k3x7m2q5wz4a' as LineageId

export class FakeDepot implements AsyncDisposable {
  readonly generations: Generation[] = []
  readonly contents: Map<Gid, readonly FakeRelease[]> = new Map<Gid, readonly FakeRelease[]>()
  readonly blobs: Map<Digest, Buffer> = new Map<Digest, Buffer>()
  /** Metasets and nodes of trees, which are had by digest too. */
  readonly nodes: Map<Digest, Buffer> = new Map<Digest, Buffer>()
  readonly retired: Set<Gid> = new Set<Gid>()
  readonly asked: string[] = []
  readonly headers: IncomingMessage['headers'][] = []
  readonly stage: FakeStage = new FakeStage(this)
  /** The keys that sign what is committed from now on, and the ring that it tells; it has none at first. */
  signers: readonly SigningKey[] = []
  ring: KeyRing | undefined
  /** Says true when it has answered, or will. */
  takeOver: (request: FakeRequest) => boolean | Promise<boolean> = () => false
  #server: Playing | undefined

  static async start(): Promise<FakeDepot> {
    const depot = new FakeDepot()
    depot.#server = await playingRaw(async (request, response) => await depot.#answer(request, response))
    depot.commit([])
    return depot
  }

  get url(): string {
    return this.#server?.url ?? ''
  }

  get head(): Generation {
    const head = this.generations.at(-1)
    if (head === undefined) throw new Error('there is always a generation')
    return head
  }

  /** The next generation, with these releases in the one channel `stable`. */
  commit(
    releases: readonly FakeRelease[],
    lineage: LineageId = LINEAGE,
    number: number = this.generations.length,
  ): Generation {
    const { metaset, nodes } = offerOf(releases)
    for (const bytes of nodes.values()) this.#keep(bytes)
    const record = {
      v: 1 as const,
      number,
      lineage,
      parent: null,
      parentDigest: null,
      metaset: this.#keep(metaset),
      created: '2026-11-22T00:00:00.000Z',
      publisher: 'tests',
      message: '',
    }
    const signatures = this.signers.map((key) => key.sign('generation', encodeRecord(record)))
    const generation: Generation = { gid: gidOf(record), record, state: 'active', signatures }
    this.generations.push(generation)
    this.contents.set(generation.gid, releases)
    return generation
  }

  /** A release with these files, whose bytes are in the pool. */
  release(
    name: string,
    version: string,
    files: Readonly<Record<string, Buffer | string>>,
    more: object = {},
  ): FakeRelease {
    const listed = Object.entries(files).map(([path, text]) => {
      const bytes = Buffer.from(text)
      this.blobs.set(digestOf(bytes), bytes)
      return {
        path,
        digest: digestOf(bytes),
        size: bytes.length,
        ...(path.endsWith('.sh') ? { mode: 0o755 } : {}),
      }
    })
    return releaseOf({ name, version, files: listed, ...more })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]()
  }

  #keep(bytes: Buffer): Digest {
    this.nodes.set(digestOf(bytes), bytes)
    return digestOf(bytes)
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request
    this.asked.push(`${method} ${url}`)
    this.headers.push(headers)
    const fake = { request, response, method, url: new URL(url, this.url) }
    request.on('error', () => undefined)
    if (await this.takeOver(fake)) return
    response.setHeader('depot-generation', this.head.gid)
    if (await this.stage.answer(fake)) return
    this.read(fake, fake.url.pathname)
  }

  read({ response, request, url }: FakeRequest, pathname: string): void {
    const pin = /^\/g\/([^/]+)(\/.*)$/.exec(pathname)
    const gid = (pin?.[1] ?? this.head.gid) as Gid
    const path = pin?.[2] ?? pathname
    if (path.startsWith('/o/sha256/')) return this.#blob(request, response, path)
    response.setHeader('depot-generation', gid)
    if (this.retired.has(gid)) return problem(response, 410, 'generation-retired', { wanted: gid })
    const releases = this.contents.get(gid) ?? []
    const [, manifests, name = '', version] =
      /^(\/v1\/channels\/stable)\/manifests\/([^/]+)(?:\/(.+))?$/.exec(path) ?? []
    if (manifests !== undefined && version === undefined)
      return listed(response, releases, decodeURIComponent(name), url)
    if (version !== undefined)
      return manifestOf(response, releases, decodeURIComponent(name), decodeURIComponent(version))
    if (path === '/v1/head') return json(response, this.head)
    if (path === '/v1/keys' && this.ring !== undefined)
      return json(
        response,
        keysBodyOf({ ring: this.ring, edition: '1', standings: standingsOf(this.ring, BEGAN_MS) }),
      )
    if (path === '/v1/channels') return json(response, { channels: [channelOf(releases)] })
    if (path === '/v1/channels/stable') return json(response, channelOf(releases))
    if (path === '/v1/channels/stable/catalog') return void response.end(catalogOf(releases))
    return this.#generation(response, decodeURIComponent(path.slice('/v1/generations/'.length)))
  }

  #generation(response: ServerResponse, ref: string): void {
    const found = this.generations.findLast(({ gid, record }) => gid === ref || String(record.number) === ref)
    if (found !== undefined) return json(response, found)
    problem(response, 404, 'not-found', { what: `generation ${ref}` })
  }

  #blob({ headers }: IncomingMessage, response: ServerResponse, path: string): void {
    const digest = digestOfHex(path.slice('/o/sha256/'.length))
    const bytes = this.blobs.get(digest) ?? this.nodes.get(digest)
    response.setHeader('depot-generation', 'any')
    if (bytes === undefined) return problem(response, 404, 'not-found', { what: 'blob' })
    const start = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0)
    response.setHeader('etag', `"sha256-${hexOf(digestOf(bytes))}"`)
    if (start > 0) response.setHeader('content-range', `bytes ${start}-${bytes.length - 1}/${bytes.length}`)
    response.writeHead(start > 0 ? 206 : 200).end(bytes.subarray(start))
  }
}

/** One release a page, so that paging is always met. */
function listed(response: ServerResponse, releases: readonly FakeRelease[], name: string, url: URL): void {
  const range = url.searchParams.get('range')
  const all = releases
    .filter(
      ({ line }) =>
        line.name === name && (range === null || (line.version === range && line.status !== 'yanked')),
    )
    .map(({ line }) => line)
  const at = Number(url.searchParams.get('at') ?? 0)
  const next = `${url.pathname}?at=${at + 1}`
  json(response, { releases: all.slice(at, at + 1), ...(at + 1 < all.length ? { next } : {}) })
}

function manifestOf(
  response: ServerResponse,
  releases: readonly FakeRelease[],
  name: string,
  version: string,
): void {
  const found = releases.find(({ line }) => line.name === name && line.version === version)
  if (found === undefined) return problem(response, 404, 'not-found', { what: `release ${name} ${version}` })
  response.writeHead(200, { 'content-type': 'application/json' }).end(found.bytes)
}
