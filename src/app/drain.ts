/**
 * How a node goes (PROTOCOL §11): it says so and goes on answering until balancers have noticed, lets those go who wait,
 * and closes when what was under way is out. Whoever follows or is followed hears of it only after that.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Depot } from '../depot/depot.ts'
import type { IdleSockets } from '../http/bounds/idle-sockets.ts'
import type { Face } from '../http/server.ts'
import { LIMITS } from '../model/limits.ts'
import type { Clock, Log } from '../model/world.ts'

export interface DrainParts {
  readonly server: Face
  readonly sockets: Pick<IdleSockets, 'answered' | 'closeUnused'>
  readonly depot: Pick<Depot, 'head' | 'access' | 'keys'>
  /** Lets those go who wait for a generation. */
  readonly release: () => void
  readonly clock: Pick<Clock, 'monotonic'>
  readonly log: Pick<Log, 'info'>
}

const IDLE_CHECK_MS = 50

export class Drain {
  readonly #parts: DrainParts
  /** When what is still under way is cut off. */
  #endsMs: number | undefined

  constructor(parts: DrainParts) {
    this.#parts = parts
  }

  /**
   * Goes on answering for `leastMs`, and for as long as something takes that is under way then, but for no longer than
   * a drain may take. What is asked after `leastMs` is answered too, and not waited for here.
   */
  async goOn(leastMs: number): Promise<void> {
    const { release, sockets, clock, log } = this.#parts
    log.info({ leastMs }, 'going')
    const ends = clock.monotonic() + Math.max(leastMs, LIMITS.drainMs)
    this.#endsMs = ends
    const holds = setTimeout(release, Math.min(leastMs, LIMITS.drainHoldMs))
    await sleep(leastMs)
    clearTimeout(holds)
    this.#letGo()
    log.info({}, 'waiting for the answers that are under way')
    const over = new AbortController()
    const late = sleep(Math.max(0, ends - clock.monotonic()), undefined, { signal: over.signal })
    await Promise.race([sockets.answered(), late.catch(() => undefined)])
    over.abort()
  }

  /** Takes no more connections, and ends when every answer is out; what takes too long is cut off. */
  async close(): Promise<void> {
    const { server, sockets, clock } = this.#parts
    this.#letGo()
    const left = this.#endsMs === undefined ? LIMITS.drainMs : this.#endsMs - clock.monotonic()
    const timer = setTimeout(
      () => {
        server.server.closeAllConnections()
      },
      Math.max(left, LIMITS.drainHoldMs),
    ).unref()
    // A connection whose last request came before the draining began is kept alive, and idle when it is answered.
    const idle = setInterval(() => {
      server.server.closeIdleConnections()
      sockets.closeUnused()
    }, IDLE_CHECK_MS).unref()
    await server.close()
    clearInterval(idle)
    clearTimeout(timer)
  }

  #letGo(): void {
    const { depot, release } = this.#parts
    depot.head.release()
    depot.access.release()
    depot.keys.release()
    release()
  }
}
