/**
 * The HTTP face over an engine of a test, on a port of its own: for what depends on the clock, or on an engine that does
 * something else than usual.
 */
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import type { Depot } from '../../src/depot/depot.ts'
import { OriginCheck } from '../../src/depot/lineage/origin-check.ts'
import { OriginNode } from '../../src/depot/lineage/origin-node.ts'
import { IdleSockets } from '../../src/http/bounds/idle-sockets.ts'
import { Metrics } from '../../src/http/metrics.ts'
import { buildServer, type FaceOptions, type FaceParts } from '../../src/http/server.ts'
import type { Engine } from '../depot/an-engine.ts'
import { realRandom } from '../support/real-world.ts'

export interface TestFace extends AsyncDisposable {
  readonly url: string
  /** Of an admin. */
  readonly token: string
}

const NO_RATE = { perSecond: 0, burst: 1 }

/** What a node is among others. */
export type FacePlace = Pick<
  FaceParts,
  'standing' | 'relay' | 'elsewhere' | 'whereOrigin' | 'isDraining' | 'node' | 'lineage'
>

/** `parts` stand in the place of those of the engine, `place` in that of an origin, `options` in that of the usual ones. */
export async function faceOver(
  at: Engine,
  parts: Partial<Depot> = {},
  place: Partial<FacePlace> = {},
  options: Partial<FaceOptions> = {},
): Promise<TestFace> {
  const isDraining = (): boolean => false
  const check = new OriginCheck({
    generations: at.depot.generations,
    notes: at.stores.ledger.notes,
    clock: at.clock,
    allowUnverified: false,
  })
  const server = await buildServer({
    depot: { ...at.depot, ...parts },
    scrub: async function* () {
      yield* await Promise.resolve([])
    },
    log: pino({ level: 'silent' }),
    clock: at.clock,
    random: realRandom,
    metrics: new Metrics(),
    isDraining,
    sockets: new IdleSockets(),
    node: () => 'face;role=origin;state=fresh;age=0',
    standing: new OriginNode(at.depot.head, check, isDraining),
    relay: async () => false,
    elsewhere: () => undefined,
    whereOrigin: () => ({ isOrigin: true, url: null }),
    lineage: {
      hear: async (testimony) => void (await check.hear(testimony)),
      left: async (id) => await check.left(id),
      fork: async () => await Promise.reject(new Error('nobody forks here')),
      adopt: () => {
        throw new Error('nobody adopts here')
      },
    },
    ...place,
    options: {
      closedReads: false,
      tokenRate: NO_RATE,
      addressRate: NO_RATE,
      quotaBytes: undefined,
      metricsToken: undefined,
      answerCacheBytes: 1_048_576,
      accessLog: false,
      trustProxy: false,
      version: '0.0.0',
      publicUrl: undefined,
      ...options,
    },
  })
  await server.listen({ port: 0, host: '127.0.0.1' })
  const { secret } = await at.depot.access.create({ label: 'face', scopes: ['admin'] })
  return {
    url: `http://127.0.0.1:${(server.server.address() as AddressInfo).port}`,
    token: secret,
    [Symbol.asyncDispose]: async () => {
      server.server.closeAllConnections()
      await server.close()
    },
  }
}
