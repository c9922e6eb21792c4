/**
 * The recorder on a real depot, and on connections that break: what it writes is what happened.
 */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { connect, digestOf } from '../../src/client/index.ts'
import { publish } from '../support/publish.ts'
import { runningDepot } from '../support/running-depot.ts'
import { TcpRelay } from '../support/tcp-relay.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { check } from './check.ts'
import { type History, readHistory } from './history.ts'
import { piecesHash, Recorder } from './recorder.ts'

const CATALOG = '/v1/channels/stable/catalog'
const LARGE = new Uint8Array(300_000).map((_, at) => at % 251)

/** Records what `work` does, and reads it back. */
async function recorded(work: (recorder: Recorder) => Promise<void>): Promise<History> {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'history.ndjson')
  {
    await using recorder = await Recorder.open(path)
    await work(recorder)
  }
  return await readHistory(path)
}

async function answering(
  listen: Parameters<typeof createServer>[1],
): Promise<Server & { readonly url: string }> {
  const server = createServer(listen as never)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(server, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
}

describe('a recorder', () => {
  it('writes what a depot answers, so that no check has anything against it', async () => {
    await using depot = await runningDepot()
    const first = (await depot.client.session()).generation
    const { gid } = await publish(depot.client, {
      name: 'foo',
      version: '1.0.0',
      files: { a: 'AAA', large: LARGE },
    })
    const asker = { client: 'c1' }
    const read = await recorded(async (recorder) => {
      for (const [number, active] of [first.gid, gid].entries())
        recorder.add({ what: 'active', gid: active, at: number })
      const manifest = '/v1/channels/stable/manifests/foo/1.0.0'
      recorder.add({ what: 'content', path: manifest, from: gid })
      for (const method of ['GET', 'HEAD'])
        for (const path of [
          '/livez',
          '/v1/head',
          CATALOG,
          manifest,
          `/g/${gid}${CATALOG}`,
          `/g/${gid}${manifest}`,
        ]) {
          const headers = { 'depot-min-generation': gid }
          const { answer, line } = await recorder.ask(asker, depot.url, path, { method, headers })
          expect(answer?.status, `${method} ${path}`).toBe(200)
          expect(line.min).toBe(gid)
        }
      const { answer } = await recorder.ask(asker, depot.url, CATALOG)
      const headers = { 'if-none-match': answer?.header('etag') ?? '' }
      expect((await recorder.ask(asker, depot.url, CATALOG, { headers })).answer?.status).toBe(304)
      await recorder.ask(asker, depot.url, '/v1/channels/stable/manifests/foo/2.0.0')
      await recorder.ask(asker, depot.url, `/v1/channels/stable/files/foo/1.0.0/large`)
    })
    expect(check(read)).toMatchObject({ requests: 16, violations: [], apart: [] })
    expect(read.text('problem', 14)).toBe('not-found')
    expect(read.text('digest', 15)).toBe(digestOf(LARGE).slice('sha256:'.length))
    expect(read.number('bytes', 15)).toBe(LARGE.length)
    expect(read.text('node', 15)?.includes('age=') ?? false).toBe(false)
  })

  it('knows which generation a commit made, and holds its budget against nobody', async () => {
    await using depot = await runningDepot()
    const read = await recorded(async (recorder) => {
      const fetch = recorder.fetch(() => ({ client: 'publisher' }))
      const client = connect({ url: depot.url, token: depot.token, fetch })
      const { gid } = await publish(client, { name: 'foo', version: '1.0.0' })
      recorder.add({ what: 'active', gid, at: 0 })
    })
    const commit = [...Array(read.length).keys()].find((row) => read.url(row).endsWith('/commit')) ?? -1
    expect(read.text('made', commit)).toBe(read.order.active[0]?.gid)
    expect(read.text('key', commit)).toBeDefined()
    expect(check(read).violations).toEqual([])
  })

  it('writes down the official client, session by session', async () => {
    await using depot = await runningDepot()
    const { gid } = await publish(depot.client, { name: 'foo', version: '1.0.0', files: { large: LARGE } })
    let session = 's1'
    const read = await recorded(async (recorder) => {
      recorder.add({ what: 'active', gid, at: 0 })
      const fetch = recorder.fetch(() => ({ client: 'c1', session, floor: gid }))
      const client = connect({ url: depot.url, fetch })
      for (session of ['s1', 's2']) {
        const opened = await client.session()
        const names: string[] = []
        for await (const { name } of opened.catalog('stable')) names.push(name)
        expect(names).toEqual(['foo'])
        await opened.manifest('stable', 'foo', '1.0.0')
      }
    })
    expect(new Set(Array.from({ length: read.length }, (_, row) => read.text('session', row)))).toEqual(
      new Set(['s1', 's2']),
    )
    expect(check(read)).toMatchObject({ violations: [], apart: [] })
  })

  it('writes down a body that is cut off, and what going on with it makes', async () => {
    await using depot = await runningDepot()
    const { gid } = await publish(depot.client, { name: 'foo', version: '1.0.0', files: { large: LARGE } })
    const path = `/g/${gid}/v1/channels/stable/files/foo/1.0.0/large`
    const read = await recorded(async (recorder) => {
      await using relay = await TcpRelay.to(depot.url)
      relay.set({ bytesPerSecond: 100_000 }, 'down')
      const pieces = piecesHash()
      const asker = { client: 'c1', through: 'relay' }
      const cut = recorder.ask(asker, relay.url, path, { pieces })
      await expect.poll(() => relay.waiting('down')).toBeGreaterThan(0)
      relay.cut()
      const { line, answer } = await cut
      expect(line.error).toContain('ECONNRESET')
      const from = answer?.body.length ?? 0
      const headers = { range: `bytes=${from}-`, ...(from > 0 ? { 'if-range': line.etag ?? '' } : {}) }
      await recorder.ask(asker, depot.url, path, { pieces, headers })
      recorder.add({ what: 'window', trouble: 'kill', from: line.start, to: line.end })
    })
    expect(read.text('whole', 1)).toBe(digestOf(LARGE).slice('sha256:'.length))
    expect(read.text('digest', 0)).toBeUndefined()
  })

  it('writes down that nobody answered, that it was given up, and that it took too long', async () => {
    const silent = await answering(() => undefined)
    const gone = await answering(() => undefined)
    gone.close()
    await once(gone, 'close')
    const read = await recorded(async (recorder) => {
      const asker = { client: 'c1' }
      await recorder.ask(asker, gone.url, '/v1/head')
      await recorder.ask(asker, silent.url, '/v1/head', { signal: AbortSignal.timeout(50) })
      await recorder.ask(asker, silent.url, '/v1/head', { deadlineMs: 50 })
    })
    silent.closeAllConnections()
    silent.close()
    const errors = [0, 1, 2].map((row) => read.text('error', row))
    expect(errors[0]).toContain('ECONNREFUSED')
    expect(errors.slice(1)).toEqual(['given up', 'no answer in time'])
    expect([0, 1, 2].map((row) => read.number('status', row))).toEqual([0, 0, 0])
  })

  it('takes a header as often as it comes', async () => {
    const server = await answering((_request, response) => {
      response.writeHead(200, ['Depot-Generation', 'none', 'depot-generation', 'any']).end()
    })
    const read = await recorded(async (recorder) => {
      await recorder.ask({ client: 'c1' }, server.url, '/v1/head', { headers: { prefer: 'wait=20' } })
    })
    server.close()
    expect(read.text('generation', 0)).toBe('none | any')
    expect(read.number('budget', 0)).toBe(10_000)
    expect(check(read).violations.map(({ invariant }) => invariant)).toEqual(['I1'])
  })
})
