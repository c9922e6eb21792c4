/**
 * The relay does to a connection what it is told, and nothing else.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { TcpRelay } from './tcp-relay.ts'

interface Line extends AsyncDisposable {
  readonly relay: TcpRelay
  dial(): Promise<Ends>
}

interface Ends {
  readonly near: Heard
  readonly far: Heard
}

/** One end of a connection, and what has come to it. */
interface Heard {
  readonly socket: Socket
  bytes(): Buffer
}

async function line(): Promise<Line> {
  const server = createServer({ allowHalfOpen: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const relay = await TcpRelay.to(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  return {
    relay,
    dial: async () => {
      const accepted = once(server, 'connection') as Promise<[Socket]>
      const near = heard(connect({ port: Number(new URL(relay.url).port), allowHalfOpen: true }))
      const [socket] = await accepted
      return { near, far: heard(socket) }
    },
    [Symbol.asyncDispose]: async () => {
      await relay[Symbol.asyncDispose]()
      server.close()
    },
  }
}

function heard(socket: Socket): Heard {
  const pieces: Buffer[] = []
  socket.on('data', (piece: Buffer) => pieces.push(piece))
  socket.on('error', () => undefined)
  return { socket, bytes: () => Buffer.concat(pieces) }
}

describe('a TCP relay', () => {
  it('passes everything, both ways, and each end by itself', async () => {
    await using at = await line()
    const { near, far } = await at.dial()
    const [up, down] = [randomBytes(3_000_000), randomBytes(2_000_000)]
    near.socket.end(up)
    await once(far.socket, 'end')
    expect(far.bytes().equals(up)).toBe(true)
    far.socket.end(down)
    await once(near.socket, 'end')
    expect(near.bytes().equals(down)).toBe(true)
    await expect.poll(() => at.relay.connections).toBe(0)
  })

  it('cuts what is open, refuses what comes, and heals', async () => {
    await using at = await line()
    const { near, far } = await at.dial()
    const ends = [near, far].map(
      async ({ socket }) => await new Promise((resolve) => socket.once('close', resolve)),
    )
    at.relay.cut()
    expect(await Promise.all(ends)).toEqual([true, true])
    const refused = connect(Number(new URL(at.relay.url).port))
    await expect(once(refused, 'end')).rejects.toMatchObject({ code: 'ECONNRESET' })
    at.relay.heal()
    const again = await at.dial()
    again.near.socket.write('hello')
    await expect.poll(() => again.far.bytes().toString()).toBe('hello')
  })

  it.each(['up', 'down'] as const)('is deaf %s only, and brings what it kept when it heals', async (side) => {
    await using at = await line()
    const { near, far } = await at.dial()
    const [from, to] = side === 'up' ? [near, far] : [far, near]
    at.relay.silence(side)
    from.socket.write('kept back')
    await expect.poll(() => at.relay.waiting(side)).toBe(9)
    // The other direction goes on, and what it brings came later.
    to.socket.write('through')
    await expect.poll(() => from.bytes().toString()).toBe('through')
    expect([to.bytes().length, at.relay.waiting(side)]).toEqual([0, 9])
    at.relay.heal()
    await expect.poll(() => to.bytes().toString()).toBe('kept back')
  })

  it('keeps an end from being seen while it is deaf', async () => {
    await using at = await line()
    const { near, far } = await at.dial()
    at.relay.silence()
    near.socket.end('bye')
    await expect.poll(() => at.relay.waiting('up')).toBe(3)
    expect(far.socket.readableEnded).toBe(false)
    at.relay.heal()
    await once(far.socket, 'end')
    expect(far.bytes().toString()).toBe('bye')
  })

  it('takes no more than a window from who sends into silence', async () => {
    await using at = await line()
    const { near } = await at.dial()
    at.relay.silence('up')
    near.socket.write(new Uint8Array(40_000_000))
    await expect.poll(() => at.relay.waiting('up')).toBeGreaterThan(1_000_000)
    await expect.poll(() => near.socket.writableLength).toBeGreaterThan(0)
    expect(at.relay.waiting('up')).toBeLessThan(3_000_000)
  })

  it('delays, and does not change the order', async () => {
    await using at = await line()
    const { near, far } = await at.dial()
    at.relay.set({ delayMs: 200 }, 'up')
    const begun = performance.now()
    for (let count = 0; count < 10; count += 1) near.socket.write(String(count))
    await expect.poll(() => far.bytes().toString(), { timeout: 10_000 }).toBe('0123456789')
    expect(performance.now() - begun).toBeGreaterThanOrEqual(199)
  })

  it('throttles', async () => {
    await using at = await line()
    const { near, far } = await at.dial()
    at.relay.set({ bytesPerSecond: 200_000 })
    const begun = performance.now()
    near.socket.end(new Uint8Array(100_000))
    await once(far.socket, 'end')
    expect(far.bytes().length).toBe(100_000)
    // All but the last piece have been paid for.
    expect(performance.now() - begun).toBeGreaterThanOrEqual(400)
  })
})
