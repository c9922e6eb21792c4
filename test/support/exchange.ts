/**
 * One request and its answer as they stood on the wire: every header as often as it came, no decoding, no redirects,
 * no connection that is used again. `fetch` hides too much of what these tests are about.
 */
import { Agent, type IncomingMessage, request } from 'node:http'

export interface Ask {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: Uint8Array | string
  readonly agent?: Agent
}

export class Answer {
  readonly status: number
  readonly rawHeaders: readonly string[]
  readonly body: Buffer

  constructor(status: number, rawHeaders: readonly string[], body: Buffer) {
    this.status = status
    this.rawHeaders = rawHeaders
    this.body = body
  }

  /** All values of a header, as often as it came. */
  all(name: string): readonly string[] {
    return this.rawHeaders.filter(
      (_, at) => at % 2 === 1 && this.rawHeaders[at - 1]?.toLowerCase() === name.toLowerCase(),
    )
  }

  /** The header that came once; undefined when it did not come. */
  header(name: string): string | undefined {
    const found = this.all(name)
    if (found.length > 1) throw new Error(`${name} came ${found.length} times: ${found.join(' | ')}`)
    return found[0]
  }

  get text(): string {
    return this.body.toString()
  }

  json<Body = Record<string, unknown>>(): Body {
    return JSON.parse(this.text) as Body
  }

  /** The code of the problem in the body. */
  get problem(): string {
    return String(this.json()['type']).replace('/problems/', '')
  }

  lines<Line = Record<string, unknown>>(): Line[] {
    return this.text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Line)
  }
}

const DEADLINE_MS = 30_000

/** Sends the path exactly as it is. Fails when there is no answer. */
export async function exchange(origin: string, path: string, ask: Ask = {}): Promise<Answer> {
  const { hostname, port } = new URL(origin)
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const sent = request({
    hostname,
    port,
    path,
    method: ask.method ?? 'GET',
    agent: ask.agent ?? new Agent({ keepAlive: false }),
    headers: ask.headers as Record<string, string | string[]>,
    timeout: DEADLINE_MS,
  })
  sent.on('response', resolve)
  sent.on('timeout', () => sent.destroy(new Error(`no answer to ${ask.method ?? 'GET'} ${path}`)))
  // The body may be refused before it is sent: what counts is the answer.
  sent.on('error', reject)
  sent.end(ask.body)
  const answer = await promise
  const pieces: Buffer[] = []
  for await (const piece of answer as AsyncIterable<Buffer>) pieces.push(piece)
  return new Answer(answer.statusCode ?? 0, answer.rawHeaders, Buffer.concat(pieces))
}
