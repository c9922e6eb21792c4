/**
 * A download that is under way for as long as a test wants: nobody takes more of it than the head.
 */
import { Agent, get, type IncomingMessage } from 'node:http'

/** More than all that lies between a node and a client, a balancer in the middle included. */
export const SLOW_BYTES = 30_000_000

export interface SlowDownload {
  readonly headers: IncomingMessage['headers']
  /** Takes all of it. Fails when it breaks off. */
  body(): Promise<Buffer>
  /** Wants no more. */
  drop(): void
}

/** On a connection of its own. */
export async function slowDownload(url: string): Promise<SlowDownload> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  get(url, { agent: new Agent() }, resolve).on('error', reject)
  const answer = await promise
  return {
    headers: answer.headers,
    body: async () => {
      const pieces: Buffer[] = []
      for await (const piece of answer as AsyncIterable<Buffer>) pieces.push(piece)
      return Buffer.concat(pieces)
    },
    drop: () => answer.destroy(),
  }
}
