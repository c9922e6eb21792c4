/**
 * A depot behind a real HAProxy and a real nginx, with its cache, under readers and publishers that write down
 * everything: the checker finds nothing, and finds what is then broken on purpose.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { connect } from '../../src/client/index.ts'
import { recordActivations } from '../checker/activations.ts'
import { check, reportTold } from '../checker/check.ts'
import { historyOf, readHistory } from '../checker/history.ts'
import type { Asker, Line, RequestLine } from '../checker/line.ts'
import { monotonicMs, Recorder } from '../checker/recorder.ts'
import { publish } from '../support/publish.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { type Balancer, balancer, needs } from './balancer.ts'
import { type Served, served } from './served.ts'

const GENERATIONS = 12
const CATALOG = '/v1/channels/stable/catalog'

beforeEach(needs('haproxy'))
beforeEach(needs('nginx'))

describe('a depot behind balancers', () => {
  it('keeps all promises that a history shows', async () => {
    await using folder = await temporaryFolder()
    await using depot = await served({ data: join(folder.path, 'data') })
    await using haproxy = await balancer('haproxy', [depot.url])
    await using nginx = await balancer('nginx', [haproxy.url])
    const path = join(folder.path, 'history.ndjson')
    {
      await using recorder = await Recorder.open(path)
      const over = new AbortController()
      const readers = [
        reader(recorder, haproxy, { client: 'c1', through: 'haproxy' }, over.signal),
        reader(recorder, nginx, { client: 'c2', through: 'nginx' }, over.signal),
        officialReader(recorder, nginx, over.signal),
      ]
      await publishAll(recorder, depot, haproxy)
      over.abort()
      await Promise.all(readers)
    }
    const history = await readHistory(path)
    const report = check(history)
    expect(reportTold(history, report)).toBe(
      `${history.length} requests, 0 violations, 0 of what needs the fence`,
    )
    expect(history.length).toBeGreaterThan(200)

    // The same with one lie in it, each time another one.
    const lines = (await readFile(path, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Line)
    for (const [invariant, lie] of lies(lines)) {
      const { violations, apart } = check(historyOf(lie))
      expect([...violations, ...apart].map((violation) => violation.invariant)).toContain(invariant)
    }
  })
})

async function publishAll(recorder: Recorder, depot: Served, front: Balancer): Promise<void> {
  const fetch = recorder.fetch(() => ({ client: 'publisher', through: 'haproxy' }))
  const client = connect({ url: front.url, token: depot.token, fetch })
  const seenAt = new Map<string, number>()
  for (let number = 0; number < GENERATIONS; number += 1) {
    const { gid } = await publish(client, { name: `release-${number}`, version: '1.0.0' })
    seenAt.set(gid, monotonicMs())
    const path = `/v1/channels/stable/manifests/release-${number}/1.0.0`
    recorder.add({ what: 'content', path, from: gid })
    recorder.add({ what: 'listed', gid, paths: [path] })
  }
  await recordActivations(recorder, depot.client, seenAt)
}

/** Reads what changes, then all it lists under the pin, as a client that believes nobody. */
async function reader(recorder: Recorder, front: Balancer, asker: Asker, signal: AbortSignal): Promise<void> {
  let floor: string | undefined
  let etag: string | undefined
  for (let round = 0; !signal.aborted || round < 5; round += 1) {
    const knows = floor === undefined ? asker : { ...asker, floor }
    const headers = {
      ...(floor === undefined ? {} : { 'depot-min-generation': floor }),
      ...(etag === undefined ? {} : { 'if-none-match': etag }),
    }
    const { answer, line } = await recorder.ask(knows, front.url, CATALOG, { headers })
    etag = answer?.header('etag')
    floor = line.generations?.[0]
    if (answer?.status === 404) continue
    const pinned = `/g/${floor}${CATALOG}`
    const method = round % 2 === 0 ? 'GET' : 'HEAD'
    await recorder.ask(asker, front.url, pinned, { method })
    await recorder.ask(asker, front.url, pinned, { headers: { 'accept-encoding': 'gzip' } })
    for (const name of ['release-0', `release-${GENERATIONS - 1}`]) {
      const manifest = `/v1/channels/stable/manifests/${name}/1.0.0`
      await recorder.ask(asker, front.url, manifest, { method })
      await recorder.ask(asker, front.url, `/g/${floor}${manifest}`, { method })
    }
  }
}

async function officialReader(recorder: Recorder, front: Balancer, signal: AbortSignal): Promise<void> {
  let round = 0
  const fetch = recorder.fetch(() => ({ client: 'c3', session: `c3/${round}`, through: 'nginx' }))
  const client = connect({ url: front.url, fetch })
  for (; !signal.aborted || round < 3; round += 1) {
    const session = await client.session()
    if (session.generation.record.number === 0) continue
    for await (const { name, version } of session.catalog('stable'))
      await session.manifest('stable', name, version)
  }
}

/** Histories with one request that was answered otherwise. */
function lies(lines: readonly Line[]): readonly (readonly [string, readonly Line[]])[] {
  const requests = lines.filter((line) => line.what === 'request')
  const first = requests[0]!
  const told = (
    invariant: string,
    is: (line: RequestLine) => boolean,
    change: (line: RequestLine) => Partial<RequestLine>,
  ): readonly [string, readonly Line[]] => {
    const line = requests.findLast(is)
    if (line === undefined) throw new Error(`no request to lie about for ${invariant}`)
    return [invariant, lines.map((one) => (one === line ? { ...line, ...change(line) } : one))]
  }
  const old = lines.find((line) => line.what === 'active')?.gid ?? ''
  const isEntry = ({ url, status }: RequestLine): boolean => url === CATALOG && status === 200
  const isPinned = ({ url, status, method }: RequestLine): boolean =>
    url.startsWith('/g/') && status === 200 && method === 'GET'
  return [
    told('I1', isEntry, () => ({ generations: [] })),
    told(
      'I2',
      // One that another answer can be held against.
      (line) =>
        isPinned(line) &&
        line.digest !== undefined &&
        requests.some(
          (one) => one !== line && isPinned(one) && one.url === line.url && one.digest === line.digest,
        ),
      () => ({ digest: '0'.repeat(64) }),
    ),
    told('I5', isEntry, () => ({ generations: [old] })),
    told(
      'I6',
      (line) => isEntry(line) && line.min !== undefined,
      () => ({ generations: [old] }),
    ),
    told('I7', isPinned, () => ({ generations: [old] })),
    told(
      'I9',
      ({ session, kind }) => session !== undefined && kind === 'K5',
      () => ({ generations: [old] }),
    ),
    told(
      'I12',
      ({ floor }) => floor !== undefined,
      () => ({ floor: old }),
    ),
    told(
      'I13',
      ({ kind, status }) => kind === 'K3' && status === 200,
      () => ({ status: 404 }),
    ),
    told('I16', isEntry, ({ start }) => ({ first: start + 60_000 })),
    told('I18', isEntry, () => ({ status: 503 })),
    told(
      'I23',
      ({ status, ifNoneMatch }) => status === 304 && ifNoneMatch !== undefined,
      () => ({
        generations: [old],
        etag: `"${first.generations?.[0]}x/sha256-0"`,
      }),
    ),
    // All of them: not every one was asked with GET too.
    ['I25', lines.map((one) => (isPinnedHead(one) ? { ...one, etag: '"other"' } : one))],
    told('I26', isEntry, () => ({ cacheControl: 'public, max-age=60' })),
    told(
      'I28',
      ({ made }) => made !== undefined,
      () => ({ made: old }),
    ),
  ]
}

function isPinnedHead(line: Line): line is RequestLine {
  return (
    line.what === 'request' && line.method === 'HEAD' && line.status === 200 && line.url.startsWith('/g/')
  )
}
