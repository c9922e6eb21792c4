/**
 * A server may close its connection at any moment, also when nobody reads what it has sent: that is the end of an answer,
 * never that of the process.
 */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { expect, it } from 'vitest'
import { type Fetch, fetchAnew, fetchKept } from '../../src/wire/fetch.ts'

/** As much as is taken from a connection before somebody reads: with the `fetch` of Node 24 that ends the process. */
const BODY = Buffer.alloc(65_536, 'a')

/** Answers whatever it is asked, with this much of the body, and closes at once. */
async function hasty(length: number): Promise<{ readonly server: Server; readonly url: URL }> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${BODY.length}\r\nconnection: close\r\n\r\n`)
      socket.end(BODY.subarray(0, length))
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return { server, url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`) }
}

/** The end of the next connection, on both sides. */
async function endOf(server: Server): Promise<void> {
  const [socket] = (await once(server, 'connection')) as [Socket]
  await once(socket, 'close')
}

const FETCHES: readonly (readonly [string, Fetch])[] = [
  ['that is kept open', fetchKept],
  ['of its own', fetchAnew],
]

it.each(FETCHES)(
  'a body that nobody reads until its connection has ended is whole: one %s',
  async (_what, ask) => {
    const { server, url } = await hasty(BODY.length)
    const ended = endOf(server)
    const answer = await ask(url, { method: 'GET' })
    await ended
    expect(Buffer.from(await answer.arrayBuffer()).equals(BODY)).toBe(true)
    server.close()
  },
)

it.each(FETCHES)(
  'one that is cut off fails whoever reads it, and nobody else: one %s',
  async (_what, ask) => {
    const { server, url } = await hasty(BODY.length - 1)
    const ended = endOf(server)
    const answer = await ask(url, { method: 'GET' })
    await ended
    await expect(answer.arrayBuffer()).rejects.toThrow()
    server.close()
  },
)
