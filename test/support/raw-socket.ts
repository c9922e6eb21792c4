/**
 * Bytes on a socket, for requests that no HTTP client would send, and the answers as they come back.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Answer } from './exchange.ts'

const DEADLINE_MS = 10_000

export interface RawConnection extends AsyncDisposable {
  readonly socket: Socket
  send(bytes: string | Uint8Array): void
  /** The next answer; fails when none has come after ten seconds. `toHead` when it answers a HEAD. */
  answer(toHead?: boolean): Promise<Answer>
  /** Resolves when the depot has closed the connection. */
  closed(): Promise<void>
  /** Bytes that have come and belong to no answer that was taken. */
  rest(): Buffer
}

export async function rawConnection(origin: string): Promise<RawConnection> {
  const { hostname, port } = new URL(origin)
  const socket = connect(Number(port), hostname)
  let here = Buffer.alloc(0)
  let ended = false
  socket.on('data', (piece: Buffer) => {
    here = Buffer.concat([here, piece])
  })
  socket.on('close', () => {
    ended = true
  })
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  const more = async (until: number): Promise<void> => {
    if (ended) throw new Error(`the connection was closed after ${JSON.stringify(here.toString('latin1'))}`)
    if (performance.now() > until)
      throw new Error(`no whole answer, only ${JSON.stringify(here.toString('latin1', 0, 500))}`)
    const waiting = new AbortController()
    await Promise.race([
      once(socket, 'data', { signal: waiting.signal }),
      once(socket, 'close', { signal: waiting.signal }),
      sleep(Math.max(1, until - performance.now()), undefined, { signal: waiting.signal }),
    ])
    waiting.abort()
  }
  return {
    socket,
    send: (bytes) => socket.write(bytes),
    answer: async (toHead = false) => {
      const until = performance.now() + DEADLINE_MS
      for (;;) {
        const parsed = parseAnswer(here, { ended, toHead })
        if (parsed !== undefined) {
          here = here.subarray(parsed.bytes)
          if (parsed.answer.status >= 200) return parsed.answer
        } else await more(until)
      }
    },
    closed: async () => {
      const until = performance.now() + DEADLINE_MS
      while (!ended) await more(until)
    },
    rest: () => here,
    [Symbol.asyncDispose]: async () => {
      socket.destroy()
      if (!ended) await once(socket, 'close')
    },
  }
}

/** Sends the bytes on a connection of their own and gives the one answer. */
export async function rawExchange(origin: string, bytes: string | Uint8Array): Promise<Answer> {
  await using connection = await rawConnection(origin)
  connection.send(bytes)
  return await connection.answer()
}

/** The first answer in the bytes; undefined when it is not whole. */
export function parseAnswer(
  bytes: Buffer,
  { ended, toHead }: { readonly ended: boolean; readonly toHead: boolean },
): { readonly answer: Answer; readonly bytes: number } | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const [first = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n')
  const status = Number(/^HTTP\/1\.1 (\d{3})(?: |$)/.exec(first)?.[1])
  if (Number.isNaN(status)) throw new Error(`not an answer: ${JSON.stringify(first)}`)
  const rawHeaders = lines.flatMap((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).trim()]
  })
  const start = end + 4
  const bare = new Answer(status, rawHeaders, Buffer.alloc(0))
  if (toHead || status < 200 || status === 204 || status === 304) return { answer: bare, bytes: start }
  const body = bodyIn(bytes.subarray(start), bare, ended)
  return body && { answer: new Answer(status, rawHeaders, body.body), bytes: start + body.bytes }
}

function bodyIn(
  bytes: Buffer,
  head: Answer,
  ended: boolean,
): { readonly body: Buffer; readonly bytes: number } | undefined {
  if (head.header('transfer-encoding')?.toLowerCase() === 'chunked') return chunksIn(bytes)
  const length = head.header('content-length')
  if (length === undefined) return ended ? { body: bytes, bytes: bytes.length } : undefined
  if (bytes.length < Number(length)) return undefined
  return { body: Buffer.from(bytes.subarray(0, Number(length))), bytes: Number(length) }
}

function chunksIn(bytes: Buffer): { readonly body: Buffer; readonly bytes: number } | undefined {
  const pieces: Buffer[] = []
  for (let at = 0; ; ) {
    const line = bytes.indexOf('\r\n', at)
    if (line === -1) return undefined
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16)
    const end = line + 2 + size + 2
    if (bytes.length < end) return undefined
    if (size === 0) return { body: Buffer.concat(pieces), bytes: end }
    pieces.push(bytes.subarray(line + 2, line + 2 + size))
    at = end
  }
}
