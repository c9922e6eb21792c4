/**
 * The plainest reads, a GET of one small file or one manifest under a pin, answered before the framework sees them: its
 * routing, hooks and objects cost more than finding the bytes does.
 *
 * Nothing is kept here. Each request asks the engine as its route does, and whatever is not at hand, not found, not
 * plain or not right goes the long way, which is where the rules and the refusals are. So this is for depots that
 * everybody may read, and that log no accesses.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Depot } from '../depot/depot.ts'
import { resolveGeneration } from '../depot/freshness.ts'
import type { View, Wish } from '../depot/read/view.ts'
import type { Digest } from '../model/digest.ts'
import { parseGid } from '../model/generation.ts'
import type { Soon } from '../model/soon.ts'
import { MEDIA } from '../wire/headers.ts'
import { headersOfPinned } from './answer.ts'
import { type HotAnswers, isPlain } from './hot-answers.ts'
import type { Metrics } from './metrics.ts'
import { headersOfBytes } from './send-bytes.ts'

type Parts = Pick<Depot, 'head' | 'generations' | 'views' | 'pool' | 'clock'> & {
  readonly hot: HotAnswers
  readonly metrics: Pick<Metrics, 'counter'>
}

/** A path of plain characters alone: what is encoded, has a query or is empty in between goes the long way. */
const FILE = /^\/g\/([\w.]+)\/v1\/channels\/([\w.-]+)\/files\/([\w.@+~-]+)\/([\w.@+~-]+)\/([\w.@+~/-]+)$/
const MANIFEST = /^\/g\/([\w.]+)\/v1\/channels\/([\w.-]+)\/manifests\/([\w.@+~-]+)\/([\w.@+~-]+)$/
/** The patterns of the routes, as the metrics name them. */
const FILE_ROUTE = '/g/:gid/v1/channels/:channel/files/:name/:version/*'
const MANIFEST_ROUTE = '/g/:gid/v1/channels/:channel/manifests/:name/:version'

interface Found {
  readonly view: View
  readonly mediaType: string
  readonly digest: Digest
}

export class PlainReads {
  readonly #parts: Parts
  readonly #countFile: (seconds: number) => void
  readonly #countManifest: (seconds: number) => void

  constructor(parts: Parts) {
    this.#parts = parts
    this.#countFile = parts.metrics.counter('GET', FILE_ROUTE, 200)
    this.#countManifest = parts.metrics.counter('GET', MANIFEST_ROUTE, 200)
  }

  /** Answers the request if it is that plain and all is at hand; false when it goes the long way. */
  answer(request: IncomingMessage, response: ServerResponse): boolean {
    const { url = '', method, headers } = request
    if (method !== 'GET' || !url.startsWith('/g/') || !isPlain(headers)) return false
    const { clock } = this.#parts
    const began = clock.monotonic()
    const file = FILE.exec(url)
    const asked = file ?? MANIFEST.exec(url)
    if (asked === null || !this.#send(request, response, asked)) return false
    const count = file === null ? this.#countManifest : this.#countFile
    count((clock.monotonic() - began) / 1000)
    return true
  }

  #send(request: IncomingMessage, response: ServerResponse, asked: readonly string[]): boolean {
    try {
      const found = this.#find(asked)
      if (found === undefined) return false
      const blob = atHand(this.#parts.pool.open(found.digest))
      if (blob?.bytes === undefined) return false
      const { view, digest, mediaType } = found
      const list = headersOfBytes({ digest, mediaType, headers: headersOfPinned(view) }, blob.size)
      response.writeHead(200, list)
      response.end(blob.bytes)
      this.#parts.hot.keep(request, list, blob.bytes)
      return true
    } catch {
      // Whatever it is, the long way meets it as well and tells of it; here nobody would catch it.
      if (response.headersSent) response.destroy()
      return response.headersSent
    }
  }

  #find([, gid = '', channel = '', name = '', version = '', path]: readonly string[]): Found | undefined {
    const { head, generations, views } = this.#parts
    const view = views.at(resolveGeneration(generations, head.now(), { pin: parseGid(gid) }))
    if (view === undefined) return undefined
    const wish: Wish = { channel, name, version }
    if (path === undefined) {
      const digest = atHand(view.manifest(wish))
      return digest && { view, digest, mediaType: MEDIA.json }
    }
    const file = atHand(view.file(wish, path))
    return file && { view, digest: file.digest, mediaType: file.mediaType ?? MEDIA.bytes }
  }
}

/** What is there now. What is only on its way is not waited for: whoever goes the long way asks for it again. */
function atHand<Value>(value: Soon<Value>): Value | undefined {
  if (!(value instanceof Promise)) return value
  value.catch(() => undefined)
  return undefined
}
