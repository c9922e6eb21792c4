/**
 * A balancer for the demo, and for nothing else: it lets the demo run where no other is installed. It bounds nothing and
 * keeps no secrets; in earnest take HAProxy or nginx with what `depot lb-config` prints.
 *
 * It does what PROTOCOL §12 asks of one. Each request goes to the next node that is `/readyz`. A read that meets a
 * refusal (503) or a node that goes away before it has answered is asked again, of the next one. Reads are all it takes.
 */
import { once } from 'node:events'
import {
  Agent,
  createServer,
  get,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  request as send,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'

interface Backend {
  readonly url: URL
  isReady: boolean
}

const CHECK_MS = 250
const PATIENCE_MS = 2_000
const READING = new Set(['GET', 'HEAD'])
/** What belongs to one connection. */
const OF_CONNECTION = new Set(['connection', 'keep-alive', 'transfer-encoding'])

export class RoundRobin implements AsyncDisposable {
  readonly #server: Server
  readonly #backends: readonly Backend[]
  readonly #agent = new Agent({ keepAlive: true })
  readonly #ending = new AbortController()
  #checking: Promise<void> = Promise.resolve()
  #turn = 0

  private constructor(nodes: readonly string[]) {
    this.#backends = nodes.map((node) => ({ url: new URL(node), isReady: false }))
    this.#server = createServer((request, response) => {
      void this.#answer(request, response)
    })
  }

  /** Listens on loopback, and has asked every node once how it is. */
  static async start(nodes: readonly string[]): Promise<RoundRobin> {
    const balancer = new RoundRobin(nodes)
    await Promise.all(balancer.#backends.map(check))
    balancer.#checking = balancer.#check()
    balancer.#server.listen(0, '127.0.0.1')
    await once(balancer.#server, 'listening')
    return balancer
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort()
    await this.#checking
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
    this.#agent.destroy()
  }

  async #check(): Promise<void> {
    const { signal } = this.#ending
    while (!signal.aborted) {
      await Promise.all(this.#backends.map(check))
      await sleep(CHECK_MS, undefined, { signal }).catch(() => undefined)
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!READING.has(request.method ?? '')) {
      response.writeHead(405, { allow: 'GET, HEAD' }).end()
      return
    }
    let refused: IncomingMessage | undefined
    for (const backend of this.#inTurn()) {
      const answer = await this.#ask(backend, request)
      if (answer === undefined) continue
      refused?.destroy()
      refused = answer
      if (answer.statusCode !== 503) break
    }
    if (refused === undefined) response.writeHead(502).end('no node answers\n')
    else await pass(refused, response)
  }

  /** All that are ready, beginning with the one whose turn it is; where none is, all. */
  #inTurn(): readonly Backend[] {
    const ready = this.#backends.filter(({ isReady }) => isReady)
    const backends = ready.length === 0 ? this.#backends : ready
    this.#turn += 1
    const first = this.#turn % backends.length
    return [...backends.slice(first), ...backends.slice(0, first)]
  }

  /** The head of its answer; undefined when it went away without one. */
  async #ask(
    { url }: Backend,
    { method, url: path, headers }: IncomingMessage,
  ): Promise<IncomingMessage | undefined> {
    const { promise, resolve } = Promise.withResolvers<IncomingMessage | undefined>()
    const { hostname, port } = url
    send({ hostname, port, path, method, headers: passedOn(headers), agent: this.#agent })
      .on('response', resolve)
      .on('error', () => {
        resolve(undefined)
      })
      .end()
    return await promise
  }
}

/** What broke off in its middle breaks off for the client as well. */
async function pass(answer: IncomingMessage, response: ServerResponse): Promise<void> {
  response.writeHead(answer.statusCode ?? 502, passedOn(answer.headers))
  try {
    await pipeline(answer, response)
  } catch {
    response.destroy()
  }
}

function passedOn(headers: IncomingMessage['headers']): IncomingMessage['headers'] {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !OF_CONNECTION.has(name)))
}

async function check(backend: Backend): Promise<void> {
  backend.isReady = await isReady(backend.url.origin)
}

/** Whether a node says that it is ready, on a connection of its own. */
export async function isReady(node: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  get(`${node}/readyz`, { agent: false, timeout: PATIENCE_MS }, (answer) => {
    answer.resume()
    resolve(answer.statusCode === 200)
  })
    .on('timeout', () => {
      resolve(false)
    })
    .on('error', () => {
      resolve(false)
    })
  return await promise
}
