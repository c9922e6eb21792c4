/**
 * Which headers go on to the next node, and which come back from it (RFC 9110 §7.6.1).
 */
import type { IncomingMessage } from 'node:http'
import { HEADERS } from '../../wire/headers.ts'

/** Of one connection, and what this node says itself. */
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
/** Who asked, so that an origin which trusts this node counts clients and not nodes. */
const FORWARDED = 'x-forwarded-for'
const READING: ReadonlySet<string> = new Set(['GET', 'HEAD'])
const REPR_DIGEST = /sha-256=:([A-Za-z0-9+/=]{44}):/

/** What a node that is no origin is never told: its address is whatever somebody with a token of a node has said. */
const SECRETS: ReadonlySet<string> = new Set(['authorization', 'cookie', HEADERS.preview])
/** What a request or an answer says of generations is for all nodes on the way, whatever `Connection` says of it. */
const OF_DEPOT = 'depot-'

export function isRead({ method }: Pick<IncomingMessage, 'method'>): boolean {
  return READING.has(method ?? '')
}

/** Whether bytes come after the head of a request (RFC 9112 §6.3). */
export function hasBody({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  const { 'content-length': length, 'transfer-encoding': coding } = headers
  return coding !== undefined || Number(length ?? 0) > 0
}

/** The nodes that a request has passed. */
export function viaOf(request: IncomingMessage): readonly string[] {
  return namesIn(String(request.headers[HEADERS.via] ?? ''))
}

/** Those of a request. */
export function headersOf(request: IncomingMessage): Record<string, string | string[]> {
  const { headers } = request
  const ofConnection = namedIn(headers.connection)
  const passed = Object.entries(headers).filter(
    (header): header is [string, string | string[]] =>
      header[1] !== undefined && isPassedOn(header[0], ofConnection),
  )
  const all: Record<string, string | string[]> = {
    ...Object.fromEntries(passed),
    [FORWARDED]: forwardedFor(request),
  }
  // What a read carries is not passed on, and then there are no bytes to be announced.
  if (isRead(request)) delete all['content-length']
  // Some methods have a body only when it is said.
  else if (headers['transfer-encoding'] !== undefined) all['transfer-encoding'] = 'chunked'
  return all
}

/** Those of a request that a peer is asked: without secrets; and it is not to wait for what it has not. */
export function toPeer<Value>(headers: Readonly<Record<string, Value>>): Record<string, Value | string> {
  const told = Object.entries(headers).filter(([name]) => !SECRETS.has(name))
  return { ...Object.fromEntries(told), prefer: 'wait=0' }
}

/** Those of an answer: names and values in turn, as they came. */
export function passedOn({ headers, rawHeaders }: IncomingMessage): string[] {
  const ofConnection = namedIn(headers.connection)
  const list: string[] = []
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? ''
    if (isPassedOn(name.toLowerCase(), ofConnection)) list.push(name, rawHeaders[at + 1] ?? '')
  }
  return list
}

/** The SHA-256 that an answer names, in hexadecimal. */
export function digestIn({ headers }: IncomingMessage): string | undefined {
  const named = REPR_DIGEST.exec(String(headers['repr-digest'] ?? ''))?.[1]
  return named === undefined ? undefined : Buffer.from(named, 'base64').toString('hex')
}

/** Whom others have named, and behind them whoever has asked this node. */
function forwardedFor({ headers, socket }: IncomingMessage): string {
  return [headers[FORWARDED], socket.remoteAddress]
    .filter((one) => one !== undefined && one !== '')
    .join(', ')
}

function namesIn(text: string): readonly string[] {
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
}

/** Headers that belong to one connection because `Connection` names them. */
function namedIn(connection: string | undefined): ReadonlySet<string> {
  return new Set(namesIn((connection ?? '').toLowerCase()).filter((name) => !name.startsWith(OF_DEPOT)))
}

function isPassedOn(name: string, ofConnection: ReadonlySet<string>): boolean {
  return !NOT_PASSED_ON.has(name) && !ofConnection.has(name)
}
