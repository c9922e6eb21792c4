/**
 * One request to another node, and the head of its answer.
 */
import {
  type ClientRequest,
  type IncomingMessage,
  request as plainRequest,
  type RequestOptions,
} from 'node:http'
import { request as secureRequest } from 'node:https'
import { HEADERS } from '../../wire/headers.ts'

export interface NodeCall {
  /** The address of the node; it may have a path before all others. */
  readonly to: string
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string | string[]>>
  /** The id of this node, as it stands in `Depot-Via`. */
  readonly id: string
  /** A node of which nothing comes for so long is given up. */
  readonly idleMs: number
}

/** The body is still to be sent, and the request to be ended. */
export function openCall({ to, method, path, headers, id, idleMs }: NodeCall): ClientRequest {
  const url = new URL(to)
  const options: RequestOptions = {
    method,
    protocol: url.protocol,
    hostname: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port,
    path: url.pathname.replace(/\/+$/, '') + path,
    headers: { ...headers, host: url.host, [HEADERS.via]: id },
    timeout: idleMs,
  }
  const outgoing = url.protocol === 'https:' ? secureRequest(options) : plainRequest(options)
  outgoing.once('timeout', () => outgoing.destroy(new Error('the node is silent')))
  // Whoever waits for the answer hears of the first; nobody needs those after it.
  outgoing.on('error', () => undefined)
  return outgoing
}

/** The head of the answer. Fails when there is none, or none has come before the signal was aborted. */
export async function answerOf(outgoing: ClientRequest, late: AbortSignal): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const onLate = (): void => {
    outgoing.destroy(new Error('the node has not answered in time'))
  }
  outgoing.once('response', resolve)
  outgoing.once('error', reject)
  outgoing.once('close', () => {
    reject(new Error('the node went away'))
  })
  late.addEventListener('abort', onLate)
  if (late.aborted) onLate()
  try {
    return await promise
  } finally {
    late.removeEventListener('abort', onLate)
  }
}
