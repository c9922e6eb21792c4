/**
 * nginx as `depot lb-config nginx` sets it up, in front of real depots: what it keeps, what it never mixes, and what
 * it asks twice.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { connect } from '../../src/client/index.ts'
import { type Answer, exchange } from '../support/exchange.ts'
import { fakeReplica, hangUp, refuse } from '../support/fake-replica.ts'
import { publish } from '../support/publish.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { balancer, needs } from './balancer.ts'
import { logOfDraining } from './draining.ts'
import { expectSentOnce, troubles } from './sent-once.ts'
import { type Served, served } from './served.ts'

const TRIES = 20

beforeEach(needs('nginx'))

describe('the cache of nginx', () => {
  it('keeps what is under /g/ and /o/, and nothing else: it answers when the depot is gone', async () => {
    await using folder = await temporaryFolder()
    await using depot = await served({ data: join(folder.path, 'data') })
    const { gid } = await publish(depot.client, { name: 'hello', version: '1.0.0', files: { a: 'AAA' } })
    const session = await depot.client.session()
    const manifest = await session.manifest('stable', 'hello', '1.0.0')
    const hex = manifest.files[0]!.digest.slice('sha256:'.length)
    await using front = await balancer('nginx', [depot.url])
    const release = 'v1/channels/stable'
    const kept = [
      `/g/${gid}/${release}/catalog`,
      `/g/${gid}/${release}/files/hello/1.0.0/a`,
      `/o/sha256/${hex}`,
    ]
    const absent = `/g/${gid}/${release}/manifests/hello/9.9.9`
    const passing = [
      '/v1/head',
      `/${release}/catalog`,
      `/${release}/manifests/hello/1.0.0`,
      '/readyz',
      '/problems',
    ]
    const before = new Map<string, Answer>()
    for (const path of [...kept, ...passing, absent]) before.set(path, await exchange(front.url, path))
    for (const path of [...kept, ...passing]) expect(before.get(path)?.status, path).toBe(200)
    await depot.end('SIGKILL')

    for (const path of kept) {
      const after = await exchange(front.url, path)
      expect(after.status, path).toBe(200)
      expect(after.body.equals(before.get(path)!.body), path).toBe(true)
      for (const name of ['depot-generation', 'etag', 'repr-digest'])
        expect(after.header(name), `${path} ${name}`).toBe(before.get(path)?.header(name))
    }
    // That it is not in this generation is as true as what is.
    expect((await exchange(front.url, absent)).status).toBe(before.get(absent)?.status)
    for (const path of passing) expect((await exchange(front.url, path)).status, path).toBe(502)
  })

  it('never mixes with and without ?since=, with %2F and with /, plain and gzip', async () => {
    await using folder = await temporaryFolder()
    await using depot = await served({ data: join(folder.path, 'data') })
    const first = await publish(depot.client, { name: 'one', version: '1.0.0' })
    const { gid } = await publish(depot.client, { name: '@scope/two', version: '1.0.0' })
    await using front = await balancer('nginx', [depot.url])
    const release = `/g/${gid}/v1/channels/stable`
    const paths = [
      `${release}/catalog`,
      `${release}/catalog?since=${first.gid}`,
      `${release}/manifests/@scope%2Ftwo/1.0.0`,
      `${release}/manifests/@scope/two/1.0.0`,
      `${release}/manifests/%40scope%2Ftwo/1.0.0`,
    ]
    const forms = [{}, { headers: { 'accept-encoding': 'gzip' } }]
    // Twice, and the other way round the second time: whatever is asked first fills the cache.
    for (const round of [paths, paths.toReversed()])
      for (const path of round)
        for (const form of forms) {
          const direct = await exchange(depot.url, path, form)
          const cached = await exchange(front.url, path, form)
          expect([cached.status, cached.header('content-encoding')], path).toEqual([
            direct.status,
            direct.header('content-encoding'),
          ])
          expect(cached.text.replace(/"instance":"[^"]*"/, ''), path).toBe(
            direct.text.replace(/"instance":"[^"]*"/, ''),
          )
        }
    const answers = await Promise.all(paths.slice(0, 4).map(async (path) => await exchange(front.url, path)))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 404])
    expect(answers[0]!.lines()).toHaveLength(2)
    expect(answers[1]!.lines()).not.toEqual(answers[0]!.lines())
  })

  it('keeps nothing that was asked with a token, and gives nobody what a token is needed for', async () => {
    await using folder = await temporaryFolder()
    await using open = await served({ data: join(folder.path, 'open') })
    await using closed = await served({ data: join(folder.path, 'closed'), flags: ['--reads', 'token'] })
    const path = async (depot: Served): Promise<string> => {
      const { gid } = await publish(depot.client, { name: 'hello', version: '1.0.0' })
      return `/g/${gid}/v1/channels/stable/catalog`
    }
    const [shown, hidden] = [await path(open), await path(closed)]
    const as = ({ token }: Served): object => ({ headers: { authorization: `Bearer ${token}` } })
    await using front = await balancer('nginx', [open.url])
    await using guarded = await balancer('nginx', [closed.url])

    for (const expected of [401, 401]) {
      expect((await exchange(guarded.url, hidden, as(closed))).status).toBe(200)
      expect((await exchange(guarded.url, hidden)).status).toBe(expected)
    }
    expect((await exchange(front.url, shown, as(open))).status).toBe(200)
    await Promise.all([open.end('SIGKILL'), closed.end('SIGKILL')])
    expect((await exchange(front.url, shown)).status).toBe(502)
    expect((await exchange(guarded.url, hidden)).status).toBe(502)
  })

  it('asks the depot when a header wants more than the URL says', async () => {
    await using folder = await temporaryFolder()
    await using depot = await served({ data: join(folder.path, 'data') })
    const first = await publish(depot.client, { name: 'hello', version: '1.0.0' })
    const second = await publish(depot.client, { name: 'hello', version: '2.0.0' })
    await using front = await balancer('nginx', [depot.url])
    const path = `/g/${first.gid}/v1/channels/stable/catalog`
    expect((await exchange(front.url, path)).status).toBe(200)
    const floor = await exchange(front.url, path, { headers: { 'depot-min-generation': second.gid } })
    expect(floor.status).toBe(412)
    const other = await exchange(front.url, path, { headers: { 'depot-exact-generation': second.gid } })
    expect(other.status).toBe(400)
  })

  it('goes on with a download, from the cache and past it', async () => {
    await using folder = await temporaryFolder()
    await using depot = await served({ data: join(folder.path, 'data') })
    const large = randomBytes(6_000_000)
    await using front = await balancer('nginx', [depot.url])
    // Through the balancer, so that an upload of this size is let through too.
    const client = connect({ url: front.url, token: depot.token })
    const { gid } = await publish(client, { name: 'hello', version: '1.0.0', files: { large } })
    const path = `/g/${gid}/v1/channels/stable/files/hello/1.0.0/large`
    const etag = (await exchange(depot.url, path, { method: 'HEAD' })).header('etag') ?? ''
    for (const _again of [1, 2])
      for (const start of [100, 5_000_000]) {
        const rest = await exchange(front.url, path, {
          headers: { range: `bytes=${start}-`, 'if-range': etag },
        })
        expect([rest.status, rest.header('etag')]).toEqual([206, etag])
        expect(rest.body.equals(large.subarray(start))).toBe(true)
      }
    const changed = await exchange(front.url, path, {
      headers: { range: 'bytes=100-', 'if-range': '"sha256-other"' },
    })
    expect([changed.status, changed.body.equals(large)]).toEqual([200, true])
  })
})

describe('nginx in front of two', () => {
  it('lets no GET fail while one depot drains, and when it is gone', async () => {
    await logOfDraining('nginx', 1)
  })

  it('asks the other one when one refuses a GET, or breaks off', async () => {
    await using folder = await temporaryFolder()
    await using depot = await served({ data: join(folder.path, 'data') })
    for (const respond of [refuse, hangUp]) {
      await using bad = await fakeReplica('bad')
      bad.respond = respond
      await using front = await balancer('nginx', [bad.url, depot.url])
      for (let count = 0; count < TRIES; count += 1)
        expect((await exchange(front.url, '/v1/head')).status).toBe(200)
      expect(bad.asked.length).toBeGreaterThan(0)
    }
  })

  it.each(troubles(['POST', 'PATCH']))(
    'when a replica %s, a %s is not sent again',
    async (_what, method, respond, statuses) => {
      await expectSentOnce('nginx', { method, respond, statuses })
    },
  )

  it.each(['PUT', 'DELETE'])(
    'sends a %s to the other one, which is the same when done twice',
    async (method) => {
      await using bad = await fakeReplica('bad')
      await using good = await fakeReplica('good')
      bad.respond = hangUp
      await using front = await balancer('nginx', [bad.url, good.url])
      for (let count = 0; count < TRIES; count += 1)
        expect((await exchange(front.url, '/v1/x', { method })).status).toBe(200)
      expect([bad.asked.length > 0, good.asked.length]).toEqual([true, TRIES])
    },
  )

  it('sends a POST to the other one when nothing was sent, for nobody listened', async () => {
    await using good = await fakeReplica('good')
    const gone = await fakeReplica('gone')
    await gone[Symbol.asyncDispose]()
    await using front = await balancer('nginx', [gone.url, good.url])
    for (let count = 0; count < TRIES; count += 1)
      expect((await exchange(front.url, '/v1/x', { method: 'POST', body: 'once' })).status).toBe(200)
    expect(good.asked).toHaveLength(TRIES)
  })
})
