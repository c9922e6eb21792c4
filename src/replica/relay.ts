/**
 * Having a request answered by the origin, on the connection of whoever asked (PROTOCOL §6): one hop at most, bounded
 * in number and time, with the bytes going through as they come.
 *
 * A body whose digest the origin names is hashed on its way, and its last bytes are held back until it is right: what
 * is wrong is cut short, and never ends as if it were whole.
 */
import { createHash } from 'node:crypto'
import {
  type ClientRequest,
  type IncomingMessage,
  request as plainRequest,
  type RequestOptions,
  type ServerResponse,
} from 'node:http'
import { request as secureRequest } from 'node:https'
import { Transform, type TransformCallback } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { failure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import { forgetBody } from '../wire/forget-body.ts'
import { HEADERS } from '../wire/headers.ts'

export interface RelayParts {
  /** The origin. */
  readonly origin: string
  /** The id of this node, as it stands in `Depot-Via`. */
  readonly id: string
  /** Called with the generation of an answer to a write, before it is passed on; bounded in time by who is called. */
  readonly onWritten: (generation: string) => Promise<void>
  readonly bounds?: Partial<RelayBounds>
}

export interface RelayBounds {
  readonly relays: number
  /** An origin of which nothing comes for so long is given up: a read, and what it may have to think about. */
  readonly readIdleMs: number
  readonly writeIdleMs: number
}

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

/** Of one connection (RFC 9110 §7.6.1), and what this node says itself. */
const NOT_PASSED_ON: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'host',
  'expect',
  HEADERS.via,
  HEADERS.node,
])
const BOUNDS: RelayBounds = {
  relays: LIMITS.relays,
  readIdleMs: LIMITS.upstreamSilenceMs,
  writeIdleMs: LIMITS.requestTimeoutMs,
}
/** Who asked, so that an origin which trusts this node counts clients and not nodes. */
const FORWARDED = 'x-forwarded-for'
const READING: ReadonlySet<string> = new Set(['GET', 'HEAD'])
const REPR_DIGEST = /sha-256=:([A-Za-z0-9+/=]{44}):/

export class OriginRelay {
  readonly #parts: RelayParts
  readonly #bounds: RelayBounds
  #underWay = 0

  constructor(parts: RelayParts) {
    this.#parts = parts
    this.#bounds = { ...BOUNDS, ...parts.bounds }
  }

  /** Requests that the origin answers at this moment. */
  get underWay(): number {
    return this.#underWay
  }

  /**
   * Whether the origin has answered, or nobody is there to be answered; false when nobody did, and nothing was sent. A
   * body that was begun cannot be sent again, so a write whose origin goes away in the middle fails. Fails with
   * `relay-loop` or `origin-unreachable`.
   */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const via = viaOf(request)
    if (via.includes(this.#parts.id)) throw failure('relay-loop', { via: via.join(', ') })
    if (via.length > 0 || this.#underWay >= this.#bounds.relays) return false
    this.#underWay += 1
    try {
      return await this.#relay({ request, response })
    } finally {
      this.#underWay -= 1
    }
  }

  async #relay({ request, response }: Exchange): Promise<boolean> {
    if (response.destroyed) return true
    const outgoing = this.#open(request)
    const onClose = (): void => {
      outgoing.destroy()
    }
    response.once('close', onClose)
    try {
      // An answer may come before all of the body was sent, as when it is refused; and when the origin goes away, the
      // connection is still to be answered on, which `pipeline` would close.
      if (isRead(request)) outgoing.end()
      else request.pipe(outgoing)
      const answer = await answerOf(outgoing)
      // Another node may still have it, or this one in a moment.
      if (isRead(request) && answer.statusCode === 503) {
        answer.on('error', () => undefined).resume()
        return false
      }
      await this.#pass({ request, response }, answer)
      return true
    } catch (cause) {
      // A part of an answer is never ended as if it were whole.
      if (response.headersSent) response.destroy()
      if (response.destroyed) return true
      if (isRead(request)) return false
      throw failure('origin-unreachable', { reason: String(cause) }, { cause })
    } finally {
      response.off('close', onClose)
      if (!request.complete) forgetRest(request, outgoing)
    }
  }

  #open(request: IncomingMessage): ClientRequest {
    const { origin, id } = this.#parts
    const { readIdleMs, writeIdleMs } = this.#bounds
    const url = new URL(origin)
    const options: RequestOptions = {
      method: request.method,
      protocol: url.protocol,
      hostname: url.hostname,
      port: url.port,
      path: request.url,
      headers: {
        ...headersOf(request),
        [FORWARDED]: forwardedFor(request),
        host: url.host,
        [HEADERS.via]: id,
      },
      timeout: isRead(request) ? readIdleMs : writeIdleMs,
    }
    const outgoing = url.protocol === 'https:' ? secureRequest(options) : plainRequest(options)
    outgoing.once('timeout', () => outgoing.destroy(new Error('the origin is silent')))
    // Whoever waits for the answer hears of the first; nobody needs those after it.
    outgoing.on('error', () => undefined)
    return outgoing
  }

  async #pass({ request, response }: Exchange, answer: IncomingMessage): Promise<void> {
    const { statusCode: status = 502, headers } = answer
    if (!isRead(request) && status < 300) await this.#written(headers[HEADERS.generation])
    response.writeHead(status, passedOn(answer))
    const digest = status === 200 && request.method !== 'HEAD' ? digestIn(headers['repr-digest']) : undefined
    if (digest === undefined) await pipeline(answer, response)
    else await pipeline(answer, new Checking(digest), response)
  }

  /** The answer stands, whether what was written comes here in time or not. */
  async #written(generation: string | string[] | undefined): Promise<void> {
    if (typeof generation === 'string') await this.#parts.onWritten(generation).catch(() => undefined)
  }
}

/** Names and values in turn, as they came. */
function passedOn({ headers, rawHeaders }: IncomingMessage): string[] {
  const ofConnection = namedIn(headers.connection)
  const list: string[] = []
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? ''
    if (isPassedOn(name.toLowerCase(), ofConnection)) list.push(name, rawHeaders[at + 1] ?? '')
  }
  return list
}

/** Lets bytes through, one piece late, and fails where they are not what they should be. */
class Checking extends Transform {
  readonly #expected: string
  readonly #hash = createHash('sha256')
  #last: Buffer | undefined

  constructor(expected: string) {
    super()
    this.#expected = expected
  }

  override _transform(piece: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#hash.update(piece)
    const last = this.#last
    this.#last = piece
    done(null, last)
  }

  override _flush(done: TransformCallback): void {
    if (this.#hash.digest('base64') === this.#expected) done(null, this.#last)
    else done(new Error('the bytes are not what their digest says'))
  }
}

/** What the client goes on sending of a body that is answered already is not sent on. */
function forgetRest(request: IncomingMessage, outgoing: ClientRequest): void {
  request.unpipe(outgoing)
  outgoing.destroy()
  if (!request.destroyed) forgetBody(request)
}

function isRead({ method }: IncomingMessage): boolean {
  return READING.has(method ?? '')
}

function viaOf(request: IncomingMessage): readonly string[] {
  return namesIn(String(request.headers[HEADERS.via] ?? ''))
}

function namesIn(text: string): readonly string[] {
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
}

/** Headers that belong to one connection because `Connection` names them. */
function namedIn(connection: string | undefined): ReadonlySet<string> {
  return new Set(namesIn((connection ?? '').toLowerCase()))
}

function isPassedOn(name: string, ofConnection: ReadonlySet<string>): boolean {
  return !NOT_PASSED_ON.has(name) && !ofConnection.has(name)
}

function digestIn(header: string | string[] | undefined): string | undefined {
  return REPR_DIGEST.exec(String(header ?? ''))?.[1]
}

/** Whom others have named, and behind them whoever has asked this node. */
function forwardedFor({ headers, socket }: IncomingMessage): string {
  return [headers[FORWARDED], socket.remoteAddress]
    .filter((one) => one !== undefined && one !== '')
    .join(', ')
}

function headersOf(request: IncomingMessage): Record<string, string | string[]> {
  const { headers } = request
  const ofConnection = namedIn(headers.connection)
  const passed = Object.entries(headers).filter(
    (header): header is [string, string | string[]] =>
      header[1] !== undefined && isPassedOn(header[0], ofConnection),
  )
  const all = Object.fromEntries(passed)
  // What a read carries is not passed on, and then there are no bytes to be announced.
  if (isRead(request)) delete all['content-length']
  // Some methods have a body only when it is said.
  else if (headers['transfer-encoding'] !== undefined) all['transfer-encoding'] = 'chunked'
  return all
}

function answerOf(outgoing: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.once('response', resolve)
    outgoing.once('error', reject)
    outgoing.once('close', () => reject(new Error('the origin went away')))
  })
}
