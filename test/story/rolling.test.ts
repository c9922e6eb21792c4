/**
 * Every replica is restarted, one after the other, behind a real HAProxy and a real nginx as `depot lb-config` sets them
 * up, while readers read and a publisher commits: no read fails, none is cut short, and no session is mixed (I18).
 */
import { randomBytes } from 'node:crypto'
import { Agent } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeEach, describe, expect, it } from 'vitest'
import { connect, digestOf } from '../../src/client/index.ts'
import { blobPath } from '../../src/wire/paths.ts'
import type { NodesBody } from '../../src/wire/replication.ts'
import { recordActivations } from '../checker/activations.ts'
import { check, reportTold } from '../checker/check.ts'
import { type History, readHistory } from '../checker/history.ts'
import { monotonicMs, Recorder } from '../checker/recorder.ts'
import { publish } from '../support/publish.ts'
import { SLOW_BYTES, type SlowDownload, slowDownload } from '../support/slow-download.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { balancer, needs, type Program } from './balancer.ts'
import { type Cluster, cluster } from './cluster.ts'
import type { Exit, Served } from './served.ts'

const REPLICAS = 3
/** HAProxy finds out in two checks, half a second apart, that a node is going. */
const FLAGS = ['--drain-seconds', '2']
/** The readers are not there to find out how many requests two cores can take. */
const PAUSE_MS = 20
const PROGRAMS = ['haproxy', 'nginx'] as const satisfies readonly Program[]

const CHANNEL = '/v1/channels/stable'
const FIRST = `${CHANNEL}/manifests/release-0/1.0.0`
const SMALL = blobPath(digestOf('small'))

beforeEach(needs('haproxy'))
beforeEach(needs('nginx'))

interface Load {
  readonly recorder: Recorder
  readonly url: string
  readonly program: Program
  readonly signal: AbortSignal
}

describe('a rolling restart', () => {
  it('fails no read behind HAProxy and behind nginx, and mixes none', async () => {
    await using folder = await temporaryFolder()
    await using nodes = await cluster(folder.path, REPLICAS, FLAGS)
    const urls = nodes.replicas.map(({ url }) => url)
    await using haproxy = await balancer('haproxy', urls)
    await using nginx = await balancer('nginx', urls)
    const path = join(folder.path, 'history.ndjson')
    const exits: Pick<Exit, 'code' | 'signal'>[] = []
    {
      await using recorder = await Recorder.open(path)
      const over = new AbortController()
      const seenAt = await publishFirst(recorder, nodes.origin)
      const publishing = publishOthers(recorder, { origin: nodes.origin, seenAt, signal: over.signal })
      const reading = PROGRAMS.flatMap((program) => {
        const { url } = program === 'haproxy' ? haproxy : nginx
        const load = { recorder, url, program, signal: over.signal }
        return [...[0, 1, 2].map(async (number) => await reader(load, number)), officialReader(load)]
      })
      exits.push(...(await rollAll(recorder, nodes, [haproxy.url, nginx.url])))
      over.abort()
      await Promise.all([...reading, publishing])
      await recordActivations(recorder, nodes.origin.client, seenAt)
    }
    const history = await readHistory(path)
    const { violations, ofBalancers, ...report } = check(history)
    expect(reportTold(history, { ...report, violations, ofBalancers, apart: [] })).toBe(
      `${history.length} requests, 0 violations, 0 of what needs the fence`,
    )
    expect(exits).toEqual(Array.from({ length: REPLICAS }, () => ({ code: 0, signal: null })))
    expect(nodesThatAnswered(history)).toEqual(['r1', 'r2', 'r3'])
    // They all have left and come again.
    const states = async (): Promise<readonly string[]> =>
      (await nodesKnownTo(nodes.origin)).map(({ id, state }) => `${id} ${state}`)
    await expect.poll(states).toEqual(['r1 fresh', 'r2 fresh', 'r3 fresh'])
  }, 180_000)
})

/** Each of them goes only when the one before is ready again, and answers first what is under way. How each ended. */
async function rollAll(
  recorder: Recorder,
  nodes: Cluster,
  fronts: readonly string[],
): Promise<readonly Pick<Exit, 'code' | 'signal'>[]> {
  const exits = []
  for (const [at, replica] of nodes.replicas.entries()) {
    const id = `r${at + 1}`
    const downloads = await Promise.all(fronts.map(async (url) => await downloadFrom(id, url)))
    const from = monotonicMs()
    const restarted = nodes.restart(at)
    await expect
      .poll(() => replica.log(), { timeout: 10_000 })
      .toContain('waiting for the answers that are under way')
    for (const download of downloads) expect(await download.body()).toHaveLength(SLOW_BYTES)
    const { code, signal } = await restarted
    recorder.add({ what: 'window', trouble: 'roll', node: id, from, to: monotonicMs() })
    exits.push({ code, signal })
  }
  return exits
}

/** A download that this node answers, and of which nobody takes more than the head yet. */
async function downloadFrom(id: string, front: string): Promise<SlowDownload> {
  for (;;) {
    // Unpinned, for nginx would answer it from its cache otherwise.
    const download = await slowDownload(`${front}${CHANNEL}/files/release-0/1.0.0/large`)
    if (String(download.headers['depot-node']).startsWith(`${id};`)) return download
    download.drop()
  }
}

async function publishFirst(recorder: Recorder, { client }: Served): Promise<Map<string, number>> {
  const before = await client.head()
  const seenAt = new Map([[before.gid as string, monotonicMs()]])
  const files = { small: 'small', medium: randomBytes(1_000_000), large: randomBytes(SLOW_BYTES) }
  const { gid } = await publish(client, { name: 'release-0', version: '1.0.0', files })
  told(recorder, { gid, number: 0, seenAt })
  recorder.add({ what: 'content', path: SMALL, from: gid })
  return seenAt
}

interface Publishing {
  readonly origin: Served
  readonly seenAt: Map<string, number>
  readonly signal: AbortSignal
}

/** At the origin itself: what changes something is sent once by a balancer. */
async function publishOthers(recorder: Recorder, { origin, seenAt, signal }: Publishing): Promise<void> {
  for (let number = 1; !signal.aborted; number += 1) {
    const { gid } = await publish(origin.client, { name: `release-${number}`, version: '1.0.0' })
    told(recorder, { gid, number, seenAt })
    await sleep(PAUSE_MS * 10)
  }
}

function told(
  recorder: Recorder,
  { gid, number, seenAt }: { readonly gid: string; readonly number: number } & Pick<Publishing, 'seenAt'>,
): void {
  seenAt.set(gid, monotonicMs())
  const path = `${CHANNEL}/manifests/release-${number}/1.0.0`
  recorder.add({ what: 'content', path, from: gid })
  recorder.add({ what: 'listed', gid, paths: [path] })
}

/** Follows links as a client that knows nothing of depots, and reads what may change as well; on a connection it keeps. */
async function reader({ recorder, url, program, signal }: Load, number: number): Promise<void> {
  const client = `${program}-${number}`
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const ask = async (path: string, session?: string, method = 'GET'): Promise<string | undefined> => {
    const asker = { client, through: program, ...(session === undefined ? {} : { session }) }
    const { line } = await recorder.ask(asker, url, path, { agent, method })
    return line.generations?.[0]
  }
  for (let round = number; !signal.aborted; round += 1) {
    const session = `${client}/${round}`
    const gid = await ask('/v1/head', session)
    const pinned = `/g/${gid}`
    const isHead = round % 4 === 0
    await ask(`${pinned}${CHANNEL}/catalog`, session)
    await ask(`${pinned}${FIRST}`, session, isHead ? 'HEAD' : 'GET')
    await ask(`${pinned}${CHANNEL}/files/release-0/1.0.0/${isHead ? 'medium' : 'small'}`, session)
    await ask(`${CHANNEL}/catalog`, undefined, isHead ? 'HEAD' : 'GET')
    await ask(FIRST)
    await ask(SMALL)
    await sleep(PAUSE_MS)
  }
  agent.destroy()
}

async function officialReader({ recorder, url, program, signal }: Load): Promise<void> {
  let round = 0
  const fetch = recorder.fetch(() => ({
    client: `${program}-sdk`,
    session: `${program}-sdk/${round}`,
    through: program,
  }))
  const client = connect({ url, fetch })
  for (; !signal.aborted; round += 1) {
    const session = await client.session()
    for await (const { name, version } of session.catalog('stable'))
      if (name === 'release-0') await session.manifest('stable', name, version)
    for await (const _piece of session.file('stable', 'release-0', '1.0.0', 'small'));
    await sleep(PAUSE_MS)
  }
}

/** Ids, in order. */
function nodesThatAnswered(history: History): readonly string[] {
  const ids = new Set<string>()
  for (let row = 0; row < history.length; row += 1) {
    const id = /^r\d+/.exec(history.text('node', row) ?? '')?.[0]
    if (id !== undefined) ids.add(id)
  }
  return [...ids].sort()
}

async function nodesKnownTo({ url, token }: Served): Promise<NodesBody['nodes']> {
  const answer = await fetch(`${url}/v1/nodes`, { headers: { authorization: `Bearer ${token}` } })
  return ((await answer.json()) as NodesBody).nodes
}
