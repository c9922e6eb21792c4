/**
 * A request that another node is to answer, and the client that waits for it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Wish } from './wish.ts'

export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly wish: Wish
  /** Aborted when the client has gone away. */
  readonly gone: AbortSignal
  /** Aborted also when it is too late to begin with an answer. */
  readonly late: AbortSignal
}
