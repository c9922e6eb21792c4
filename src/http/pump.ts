/**
 * Pieces of bytes into a socket, one after the other: each has left the process before the next is asked for, which
 * is the back-pressure, and lets the giver use its buffers again.
 */
import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'

/**
 * Sends the headers of `reply` with the first piece, so that what fails before it is still a clean problem. What
 * fails after it breaks the connection, for only that can say that the rest is not coming.
 */
export async function pump(reply: FastifyReply, pieces: AsyncIterable<Uint8Array>): Promise<FastifyReply> {
  const { raw } = reply
  try {
    for await (const piece of pieces) {
      if (!raw.headersSent) begin(reply)
      if (!(await written(raw, piece))) return reply
    }
  } catch (error) {
    if (!raw.headersSent) throw error
    raw.destroy(error instanceof Error ? error : undefined)
    reply.log.warn({ err: error }, 'a body was cut short')
    return reply
  }
  if (!raw.headersSent) begin(reply)
  raw.end()
  return reply
}

function begin(reply: FastifyReply): void {
  reply.hijack()
  reply.raw.writeHead(reply.statusCode, reply.getHeaders() as Record<string, string | number | string[]>)
}

/** Waits until a piece has left the process; false when the client is gone. */
async function written(raw: ServerResponse, piece: Uint8Array): Promise<boolean> {
  if (raw.destroyed || raw.socket === null || raw.socket.destroyed) return false
  return new Promise((resolve) => {
    const onClose = (): void => {
      resolve(false)
    }
    raw.once('close', onClose)
    raw.write(piece, (error) => {
      raw.off('close', onClose)
      resolve(error === null || error === undefined)
    })
  })
}
