/**
 * The only place that knows all the parts: it opens them in order, wires them, and closes them in the opposite order.
 */
import { readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import { type DepotParts, openDepot } from '../depot/depot.ts'
import { formatOf } from '../format/format.ts'
import { gidOfHead } from '../http/answer.ts'
import { IdleSockets } from '../http/bounds/idle-sockets.ts'
import { Metrics } from '../http/metrics.ts'
import { buildServer, type Face, type FaceOptions } from '../http/server.ts'
import { openExaminer } from '../job/examine-in-worker.ts'
import { lockFolder } from '../ledger/folder-lock.ts'
import { settleFormat } from '../ledger/format.ts'
import { demandLedger, openLedger } from '../ledger/open.ts'
import { failure } from '../model/errors.ts'
import { openDiskStore } from '../pool/open-disk.ts'
import { scrub } from '../pool/scrub.ts'
import { ensureAdminToken, hasAdminToken } from './admin-token.ts'
import { Chores } from './chores.ts'
import type { Config } from './config.ts'
import { Drain } from './drain.ts'
import { watchProcess } from './gauges.ts'
import { DiskKeySafe } from './key-safe.ts'
import { refuseUnlessData } from './lineage/folder-kind.ts'
import { settleRole } from './lineage/folder-role.ts'
import { Opened } from './opened.ts'
import { originPlace } from './place.ts'
import { replicaPlace } from './replica-place.ts'
import { realClock, realRandom } from './world.ts'

type Signal = 'SIGTERM' | 'SIGINT'

export interface RunningDepot {
  readonly url: string
  /** Resolves when the depot has closed, whoever asked for it. */
  readonly closed: Promise<void>
  /** SIGTERM drains first, SIGINT does not wait for balancers. */
  close(signal?: Signal): Promise<void>
}

const MIB = 1_048_576
const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

/** Fails with `data-locked`, `data-newer`, `data-unusable` or `address-unusable`, and leaves nothing open then. */
export async function startDepot(config: Config): Promise<RunningDepot> {
  const opened = new Opened()
  try {
    return await openAll(config, opened)
  } catch (error) {
    await opened[Symbol.asyncDispose]()
    throw error
  }
}

async function openAll(config: Config, opened: Opened): Promise<RunningDepot> {
  const log = pino({ level: config.logLevel }, pino.destination({ dest: 2, sync: false }))
  const [clock, random] = [realClock, realRandom]
  const began = clock.monotonic()
  opened.use(await lockFolder(config.data, { random }))
  await refuseUnlessData(config.data)
  await settleFormat(config.data)
  const wasBegun = await hasAdminToken(config.data)
  if (wasBegun) await demandLedger(config.data)
  const store = opened.use(await openDiskStore(config.data, { clock, random }))
  const ledger = opened.use(await openLedger(config.data, { clock, log, room: store.room, wasBegun }))
  await settleRole(config, ledger.notes)
  const examiner = openExaminer(formatOf('semver'))
  opened.defer(async () => await examiner.close())
  const stageIdleMs = config.stageIdleMinutes * MINUTE_MS
  const { examine } = examiner
  const isReplica = config.role === 'replica'
  const shared = { ledger, examine, clock, random, log, stageIdleMs, isReplica }
  const depot = await openDepot({ ...store, ...shared, ...signingOf(config) })
  opened.defer(async () => await depot.close())
  if (!isReplica) await ensureAdminToken(config.data, depot.access)
  await depot.stages.dropUploads()
  const openingSeconds = (clock.monotonic() - began) / 1000
  opened.use(new Chores(depot, clock, log))
  const metrics = new Metrics()
  opened.use(watchProcess(metrics, { depot, store, ledger, openingSeconds }))
  const draining = { now: false }
  const parts = { depot, store, examine, clock, random, log, metrics, isDraining: () => draining.now }
  const place = isReplica ? replicaPlace(config, parts) : originPlace(config, parts)
  opened.use(place)
  await place.prepare()
  const sockets = new IdleSockets()
  const server = await buildServer({
    depot,
    scrub: (signal) =>
      scrub(store, { clock, signal, onDamaged: async (digest) => await store.condemn(digest) }),
    log,
    clock,
    random,
    options: await faceOptionsOf(config),
    metrics,
    isDraining: () => draining.now,
    sockets,
    ...place.face,
  })
  const drain = new Drain({ server, sockets, depot, release: place.release, clock, log })
  opened.defer(async () => await drain.close())
  const url = await listen(server, config)
  place.start()
  const gid = gidOfHead(depot.head)
  log.info({ url, data: config.data, role: config.role, gid }, 'listening')
  return running(url, opened, async (signal) => {
    draining.now = true
    if (signal === 'SIGTERM') await drain.goOn(config.drainSeconds * 1000)
  })
}

function signingOf({
  data: folder,
  keyOverlapDays,
  replaceLostKey: replacesLostKey,
}: Config): Pick<DepotParts, 'safe' | 'keyOverlapMs' | 'replacesLostKey'> {
  const safe = new DiskKeySafe({ folder, random: realRandom })
  return { safe, keyOverlapMs: keyOverlapDays * DAY_MS, replacesLostKey }
}

function running(url: string, opened: Opened, drained: (signal: Signal) => Promise<void>): RunningDepot {
  const { promise: closed, resolve, reject } = Promise.withResolvers<void>()
  closed.catch(() => undefined)
  let closing: Promise<void> | undefined
  async function shut(signal: Signal): Promise<void> {
    await drained(signal)
    await opened[Symbol.asyncDispose]()
  }
  return {
    url,
    closed,
    close: async (signal = 'SIGINT') => {
      closing ??= shut(signal).then(resolve, reject)
      await closing
    },
  }
}

async function listen(server: Face, { listen: address }: Config): Promise<string> {
  try {
    await server.listen({ host: address.host, port: address.port })
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    if (code !== 'EADDRINUSE' && code !== 'EACCES' && code !== 'EADDRNOTAVAIL') throw cause
    throw failure(
      'address-unusable',
      { address: `${address.host}:${address.port}`, reason: message },
      { cause },
    )
  }
  const { family, port } = server.server.address() as AddressInfo
  const host = family === 'IPv6' ? `[${address.host}]` : address.host
  return `http://${host}:${port}`
}

async function faceOptionsOf(config: Config): Promise<FaceOptions> {
  const version = await versionOfProgram()
  return {
    closedReads: config.reads === 'token',
    tokenRate: { perSecond: config.tokenWritesPerSecond, burst: config.tokenWriteBurst },
    addressRate: { perSecond: config.addressWritesPerSecond, burst: config.addressWriteBurst },
    quotaBytes: config.quotaMb === 0 ? undefined : config.quotaMb * MIB,
    answerCacheBytes: config.answerCacheMb * MIB,
    metricsToken: config.metricsToken,
    accessLog: config.accessLog,
    trustProxy: config.trustProxy,
    version,
    publicUrl: config.publicUrl,
  }
}

/** From package.json, which lies above `src/` and above `dist/src/`. */
async function versionOfProgram(): Promise<string> {
  for (const path of ['../../package.json', '../../../package.json']) {
    const text = await readFile(new URL(path, import.meta.url), 'utf8').catch(() => undefined)
    if (text !== undefined) return (JSON.parse(text) as { readonly version: string }).version
  }
  return 'unknown'
}
