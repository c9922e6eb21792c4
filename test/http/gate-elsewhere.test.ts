/**
 * What passes the gate to somewhere else, or not at all: redirects, writes, the paths of supervisors, and the bounds of
 * the gate itself (PROTOCOL §5 K0, K6, K7; §6).
 */
import { type FastifyInstance, fastify } from 'fastify'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { NodeMode, Question } from '../../src/depot/gate.ts'
import type { Node } from '../../src/depot/node.ts'
import { type Asking, Gate, type GateParts } from '../../src/http/gate/gate.ts'
import { DepotError, failure } from '../../src/model/errors.ts'
import { rawConnection } from '../support/raw-socket.ts'
import { stillClock } from '../support/still-clock.ts'
import { nextOf, OF_ORIGIN, type Replicating, replicating } from './a-node.ts'

describe('a node that knows of another one', () => {
  it('sends there whom it has kept waiting in vain', async () => {
    const url = 'http://r2.example/v1/head?_h=1'
    await using here = await replicating({ elsewhere: () => url })
    here.node.mode = 'lag'
    const answer = await here.ask('/v1/head')
    expect([answer.status, answer.header('location')]).toEqual([307, url])
    expect(answer.header('cache-control')).toBe('no-store')
    expect(answer.header('depot-generation')).toBe(here.at.depot.head.now().gid)
    expect([here.relayed, here.node.waits]).toEqual([['origin'], [2_000]])
    expect((await here.ask('/v1/head', { method: 'HEAD' })).status).toBe(307)
  })

  it('does so also while it is cut off, for what it has not', async () => {
    await using here = await replicating({ elsewhere: () => 'http://r2.example/' })
    here.node.mode = 'cut'
    here.node.heard = nextOf(here.at)
    expect((await here.ask(`/g/${nextOf(here.at)}/v1/channels`)).status).toBe(307)
  })
})

describe('a node whose reads are closed', () => {
  it.each<NodeMode>(['fresh', 'fenced', 'lag', 'cut', 'boot'])(
    'lets nobody wait who may not read, and asks no other one for them, while it is %s',
    async (mode) => {
      await using here = await replicating({ elsewhere: () => 'http://r2.example/' }, { closedReads: true })
      here.origin = 'answers'
      here.node.mode = mode
      const floor = nextOf(here.at)
      here.node.heard = floor
      const paths = ['/v1/head', `/g/${floor}/v1/channels`, `/o/sha256/${'0'.repeat(64)}`]
      for (const authorization of ['', 'Bearer depot_nobody'])
        for (const path of paths) {
          const headers = { authorization, 'depot-min-generation': floor, prefer: 'wait=1' }
          const answer = await here.ask(path, { headers })
          expect([path, answer.status, answer.problem]).toEqual([path, 401, 'unauthorised'])
        }
      expect([here.relayed, here.node.waits, here.node.confirms]).toEqual([[], [], 0])
    },
  )
})

describe('a write at a node that does not commit', () => {
  const WRITES = [
    ['POST', '/v1/stages'],
    ['POST', '/v1/stages/s1/commit'],
    ['PUT', `/v1/stages/s1/blobs/sha256/${'0'.repeat(64)}`],
    ['POST', '/v1/tokens'],
  ] as const

  it.each(WRITES)(
    'is relayed before a token is asked for, and before its body came: %s %s',
    async (...write) => {
      await using here = await replicating()
      here.origin = 'answers'
      await using connection = await rawConnection(here.face.url)
      connection.send(`${write.join(' ')} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n`)
      const answer = await connection.answer()
      expect([answer.status, answer.text, here.relayed]).toEqual([200, OF_ORIGIN, ['origin']])
    },
  )

  it.each(WRITES)('is refused where the origin cannot be reached: %s %s', async (method, path) => {
    await using here = await replicating()
    for (const mode of ['fresh', 'fenced', 'lag', 'cut'] satisfies NodeMode[]) {
      here.node.mode = mode
      const answer = await here.ask(path, { method })
      expect([mode, answer.status, answer.problem]).toEqual([mode, 503, 'origin-unreachable'])
    }
    expect(here.node.waits).toEqual([])
  })

  it('is relayed when it reads a stage', async () => {
    await using here = await replicating()
    here.origin = 'answers'
    for (const path of ['/v1/stages/s1', '/v1/stages/s1/preview/v1/channels'])
      expect([path, (await here.ask(path)).text]).toEqual([path, OF_ORIGIN])
  })

  it('is a conflict where the origin has gone back in time', async () => {
    await using here = await replicating()
    here.node.mode = 'diverged'
    const answer = await here.ask('/v1/stages', { method: 'POST' })
    expect([answer.status, answer.problem]).toEqual([409, 'origin-diverged'])
  })
})

describe('K0', () => {
  let here: Replicating
  beforeEach(async () => {
    here = await replicating()
  })
  afterEach(async () => {
    await here[Symbol.asyncDispose]()
  })

  /** Status of livez, readyz and servez, where a node refuses when it is cut off, and where it serves. */
  it.each<[NodeMode, readonly number[], readonly number[]]>([
    ['fresh', [200, 200, 200], [200, 200, 200]],
    ['fenced', [200, 200, 200], [200, 200, 200]],
    ['lag', [200, 200, 200], [200, 200, 200]],
    ['cut', [200, 503, 503], [200, 503, 200]],
    ['boot', [200, 503, 503], [200, 503, 503]],
    ['diverged', [200, 503, 200], [200, 503, 200]],
  ])('answers for a node that is %s: %j, or %j', async (mode, refusing, serving) => {
    here.node.mode = mode
    here.node.heard = nextOf(here.at)
    for (const method of ['GET', 'HEAD']) {
      here.node.whenCut = 'refuse'
      expect(await statuses(method)).toEqual(refusing)
      here.node.whenCut = 'serve'
      expect(await statuses(method)).toEqual(serving)
      here.node.isDraining = true
      expect(await statuses(method)).toEqual([200, 503, 503])
      here.node.isDraining = false
    }
    expect([here.relayed, here.node.waits, here.node.confirms]).toEqual([[], [], 0])
  })

  it('answers for a node that lags, and whose origin has died, as for one that is cut off: pins are there still', async () => {
    here.node.mode = 'lag'
    here.node.isSilent = true
    here.node.whenCut = 'serve'
    expect(await statuses('GET')).toEqual([200, 503, 200])
    here.node.whenCut = 'refuse'
    expect(await statuses('GET')).toEqual([200, 503, 503])
  })

  async function statuses(method: string): Promise<readonly number[]> {
    const all: number[] = []
    for (const path of ['/livez', '/readyz', '/servez']) {
      const answer = await here.ask(path, { method })
      expect(answer.header('cache-control')).toBe('no-store')
      all.push(answer.status)
    }
    return all
  }
})

describe('a gate', () => {
  const FRESH = { mode: 'lag', isDraining: false, whenCut: 'refuse', isOrigin: false } as const
  const ENTRY: Question = { kind: 'entry', floor: 'none' }

  it('lets so many wait and no more, and refuses the others at once', async () => {
    const { promise: woken, resolve: wake } = Promise.withResolvers<void>()
    const { promise: full, resolve: onFull } = Promise.withResolvers<void>()
    let waiting = 0
    let state: ReturnType<Node['state']> = FRESH
    const changed = async (): Promise<void> => {
      waiting += 1
      if (waiting === 2) onFull()
      await woken
    }
    const { server, gate } = guarded({ state: () => state, changed }, () => ENTRY)
    const held = [server.inject('/'), server.inject('/')]
    await full
    expect((await server.inject('/')).json()).toEqual({ code: 'hold-limit' })
    expect([gate.holds, gate.count('held')]).toEqual([2, 2])
    state = { ...FRESH, mode: 'fresh' }
    wake()
    expect((await Promise.all(held)).map(({ body }) => body)).toEqual(['served', 'served'])
    expect(gate.holds).toBe(0)
  })

  it('answers with the failure of what it has to look up, and asks for it once', async () => {
    let asked = 0
    const { server } = guarded({ state: () => FRESH }, async () => {
      asked += 1
      await Promise.resolve()
      throw failure('blob-corrupt', { digest: 'sha256:0', reason: 'in a test' })
    })
    expect([(await server.inject('/')).json(), asked]).toEqual([{ code: 'blob-corrupt' }, 1])
  })

  it('does not wait for an origin that never says a word', async () => {
    const confirm = async (signal: AbortSignal): Promise<void> => {
      const { promise, reject } = Promise.withResolvers<never>()
      signal.addEventListener('abort', () => {
        reject(failure('origin-unreachable', { reason: 'it is silent' }))
      })
      await promise
    }
    const state = { ...FRESH, mode: 'fresh' } as const
    const { server } = guarded({ state: () => state, confirm }, () => ({ kind: 'entry', floor: 'head' }))
    const answer = await server.inject({ path: '/', headers: { prefer: 'wait=0' } })
    expect(answer.json()).toEqual({ code: 'origin-unreachable' })
  })
})

/** A server with one route behind a gate that lets two wait. */
function guarded(node: Partial<Node>, asking: Asking): { server: FastifyInstance; gate: Gate } {
  const never = (): never => {
    throw failure('booting', {})
  }
  const whole: Node = {
    state: never,
    known: never,
    isKnownElsewhere: () => false,
    confirm: async () => undefined,
    changed: async () => undefined,
    ...node,
  }
  const parts: GateParts = {
    depot: { head: { isThere: () => false, now: never } },
    node: whole,
    clock: stillClock(),
    relay: async () => await Promise.resolve(false),
    elsewhere: () => undefined,
    bounds: { holds: 2, graceMs: 10 },
  }
  const gate = new Gate(parts)
  const server = fastify()
  server.setErrorHandler(async (error, _request, reply) => {
    if (!(error instanceof DepotError)) throw error
    return await reply.code(503).send({ code: error.code })
  })
  gate.guard(server, asking)
  server.get('/', async () => await Promise.resolve('served'))
  return { server, gate }
}
