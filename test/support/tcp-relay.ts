/**
 * A relay between two nodes that can be cut, slowed and made deaf on one side, so that a test needs no firewall.
 *
 * What a real network loses is sent again until it comes through or the connection is given up. So bytes are never
 * dropped here: a silent side keeps them, and lets them go when it heals, unless the connection was cut meanwhile.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** `up` from who connects to the target, `down` back. */
export type Side = 'up' | 'down'

export interface Lane {
  /** Nothing gets through. */
  readonly isSilent: boolean
  readonly delayMs: number
  readonly bytesPerSecond: number
}

const OPEN: Lane = { isSilent: false, delayMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY }
/** What a lane takes in before it lets its sender wait. */
const WINDOW_BYTES = 1_048_576
const PIECE_BYTES = 16_384

export class TcpRelay implements AsyncDisposable {
  readonly url: string
  readonly #target: URL
  readonly #server: Server
  readonly #pairs = new Set<Pair>()
  readonly #lanes: Record<Side, Lane> = { up: OPEN, down: OPEN }
  #isCut = false

  private constructor(server: Server, target: URL) {
    this.#server = server
    this.#target = target
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    server.on('connection', (near: Socket) => this.#join(near))
  }

  static async to(target: string): Promise<TcpRelay> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new TcpRelay(server, new URL(target))
  }

  get connections(): number {
    return this.#pairs.size
  }

  /** Bytes that are kept back on this side at the moment. */
  waiting(side: Side): number {
    return [...this.#pairs].reduce((sum, pair) => sum + pair.flows[side].waiting, 0)
  }

  /** Resets what is open, and whatever comes. */
  cut(): void {
    this.#isCut = true
    for (const pair of this.#pairs) pair.reset()
  }

  /** Lets nothing through, in this direction or in both; connections stay open, as over a dead link. */
  silence(...sides: readonly Side[]): void {
    this.set({ isSilent: true }, ...sides)
  }

  /** Changes these directions, or both. */
  set(change: Partial<Lane>, ...sides: readonly Side[]): void {
    for (const side of sides.length === 0 ? (['up', 'down'] as const) : sides) {
      this.#lanes[side] = { ...this.#lanes[side], ...change }
      for (const pair of this.#pairs) pair.flows[side].pump()
    }
  }

  /** As if nothing had ever been. What was kept back goes on its way. */
  heal(): void {
    this.#isCut = false
    this.set(OPEN)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pair of this.#pairs) pair.reset()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #join(near: Socket): void {
    if (this.#isCut) {
      near.resetAndDestroy()
      return
    }
    const host = this.#target.hostname.replace(/^\[(.*)\]$/, '$1')
    const far = connect({ host, port: Number(this.#target.port), allowHalfOpen: true })
    const pair = new Pair(near, far, (side) => this.#lanes[side])
    this.#pairs.add(pair)
    pair.closed = () => this.#pairs.delete(pair)
  }
}

/** Both ends of one connection. */
class Pair {
  readonly flows: Readonly<Record<Side, Flow>>
  closed: () => void = () => undefined
  readonly #ends: readonly [Socket, Socket]

  constructor(near: Socket, far: Socket, laneOf: (side: Side) => Lane) {
    this.#ends = [near, far]
    this.flows = {
      up: new Flow(near, far, () => laneOf('up')),
      down: new Flow(far, near, () => laneOf('down')),
    }
    for (const end of this.#ends) {
      end.setNoDelay(true)
      end.on('error', () => this.reset())
      end.on('close', () => {
        if (this.#ends.every(({ destroyed }) => destroyed)) this.closed()
      })
    }
  }

  reset(): void {
    for (const flow of Object.values(this.flows)) flow.stop()
    for (const end of this.#ends) if (!end.destroyed) end.resetAndDestroy()
  }
}

interface Piece {
  readonly bytes: Buffer
  /** Not before this moment. */
  readonly due: number
}

/** One direction of one connection: a queue that its lane lets go. */
class Flow {
  readonly #from: Socket
  readonly #to: Socket
  readonly #lane: () => Lane
  readonly #queue: Piece[] = []
  #timer: NodeJS.Timeout | undefined
  #ended = false
  #isStopped = false
  /** When the next byte may go, at the rate of the lane. */
  #free = 0
  waiting = 0

  constructor(from: Socket, to: Socket, lane: () => Lane) {
    this.#from = from
    this.#to = to
    this.#lane = lane
    from.on('data', (bytes: Buffer) => this.#take(bytes))
    from.on('end', () => {
      this.#ended = true
      this.pump()
    })
    to.on('drain', () => this.pump())
    from.resume()
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  /** Sends what may go now, and comes back when more may. */
  pump(): void {
    clearTimeout(this.#timer)
    while (!this.#isStopped && this.#queue.length > 0 && !this.#to.writableNeedDrain) {
      const { isSilent, bytesPerSecond } = this.#lane()
      if (isSilent) return
      const { bytes, due } = this.#queue[0]!
      const isOpen = bytesPerSecond === Number.POSITIVE_INFINITY
      const now = performance.now()
      const wait = Math.max(due - now, isOpen ? 0 : this.#free - now)
      if (wait > 0) {
        this.#timer = setTimeout(() => this.pump(), Math.ceil(wait))
        return
      }
      this.#queue.shift()
      this.waiting -= bytes.length
      this.#free = Math.max(now, this.#free) + (isOpen ? 0 : (bytes.length / bytesPerSecond) * 1_000)
      this.#to.write(bytes)
    }
    if (this.waiting < WINDOW_BYTES) this.#from.resume()
    const isDone = this.#ended && this.#queue.length === 0 && !this.#lane().isSilent
    if (isDone && !this.#isStopped) this.#to.end()
  }

  #take(bytes: Buffer): void {
    const due = performance.now() + this.#lane().delayMs
    for (let at = 0; at < bytes.length; at += PIECE_BYTES)
      this.#queue.push({ bytes: bytes.subarray(at, at + PIECE_BYTES), due })
    this.waiting += bytes.length
    if (this.waiting >= WINDOW_BYTES) this.#from.pause()
    this.pump()
  }
}
