/**
 * Pieces of bytes into a socket, one after the other: each has left the process before the next is asked for, which
 * is the back-pressure, and lets the giver use its buffers again.
 */
import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'

/** A status and headers, names and values in turn. */
export interface Start {
  readonly status: number
  readonly headers: readonly string[]
}

/** Sends what is on `reply`, and then the pieces; else as `pumpRaw`. */
export async function pump(reply: FastifyReply, pieces: AsyncIterable<Uint8Array>): Promise<FastifyReply> {
  const headers = Object.entries(reply.getHeaders()).flatMap(([name, value]) => [name, String(value)])
  return pumpRaw(reply, { status: reply.statusCode, headers }, pieces)
}

/**
 * Sends the headers with the first piece, so that what fails before it is still a clean problem. What fails after it
 * breaks the connection, for only that can say that the rest is not coming.
 */
export async function pumpRaw(
  reply: FastifyReply,
  start: Start,
  pieces: AsyncIterable<Uint8Array>,
): Promise<FastifyReply> {
  const { raw } = reply
  const begin = (): void => {
    reply.hijack()
    raw.writeHead(start.status, start.headers as string[])
  }
  try {
    for await (const piece of pieces) {
      if (!raw.headersSent) begin()
      if (!(await written(raw, piece))) return reply
    }
  } catch (error) {
    if (!raw.headersSent) throw error
    const isGone = raw.req.socket.destroyed
    raw.destroy(error instanceof Error ? error : undefined)
    // Who has gone away has cut it himself.
    if (!isGone) reply.log.warn({ err: error }, 'a body was cut short')
    return reply
  }
  if (!raw.headersSent) begin()
  raw.end()
  return reply
}

/** Waits until a piece has left the process; false when the client is gone. */
async function written(raw: ServerResponse, piece: Uint8Array): Promise<boolean> {
  // Of the request: an answer that waits behind another one on the same connection has no socket yet.
  const { socket } = raw.req
  if (raw.destroyed || socket.destroyed) return false
  return await new Promise((resolve) => {
    const onClose = (): void => {
      resolve(false)
    }
    socket.once('close', onClose)
    raw.write(piece, (error) => {
      socket.off('close', onClose)
      resolve(error === null || error === undefined)
    })
  })
}
