/**
 * Answers that break off in the middle, and answers that lie: a session goes on where it was, from whoever answers next,
 * and hands nothing on twice and nothing that its generation does not have.
 */
import type { ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { Session } from '../../../src/client/client.ts'
import { collect } from '../../wire/collect.ts'
import { json } from '../../wire/playing-server.ts'
import { FakeDepot } from '../fake-depot.ts'
import { catalogOf, channelOf, type FakeRequest, releaseOf } from '../fake-release.ts'
import { clientOf, expectFailure } from '../world.ts'

const RELEASES = 300

interface Stocked extends AsyncDisposable {
  readonly depot: FakeDepot
  readonly session: Session
}

async function stocked(): Promise<Stocked> {
  const depot = await FakeDepot.start()
  depot.commit(
    Array.from({ length: RELEASES }, (_, at) =>
      releaseOf({ name: `package-${1_000 + at}`, version: '1.0.0', files: [] }),
    ),
  )
  return {
    depot,
    session: await clientOf(depot).client.session(),
    [Symbol.asyncDispose]: async () => await depot[Symbol.asyncDispose](),
  }
}

/** Sends a part of a body and resets the connection once that has left. */
function breakOff(response: ServerResponse, body: Buffer, at: number, headers: Record<string, string>): void {
  response.writeHead(200, { 'content-length': body.length, ...headers })
  response.write(body.subarray(0, at), () => setTimeout(() => response.destroy(), 5))
}

/** Counts requests of this path, which the depot breaks off while there are places left where to do so. */
function breaking(
  { depot }: Stocked,
  isMeant: (url: URL) => boolean,
  answer: (fake: FakeRequest, count: number) => void,
): { readonly asked: FakeRequest[] } {
  const asked: FakeRequest[] = []
  depot.takeOver = (fake) => {
    if (!isMeant(fake.url)) return false
    asked.push(fake)
    fake.response.setHeader('depot-generation', depot.head.gid)
    answer(fake, asked.length)
    return true
  }
  return { asked }
}

const isCatalog = (url: URL): boolean => url.pathname.endsWith('/catalog')

describe('a catalog that breaks off', () => {
  it.each([1, 1_000, 20_000])('after %i bytes goes on, and no line comes twice', async (at) => {
    await using world = await stocked()
    const { depot, session } = world
    const whole = Buffer.from(catalogOf(depot.contents.get(depot.head.gid) ?? []))
    const { asked } = breaking(world, isCatalog, ({ response }, count) => {
      if (count <= 2) breakOff(response, whole, at * count, {})
      else response.end(whole)
    })
    const names = (await collect(session.catalog('stable'))).map(({ name }) => name)
    expect(names).toEqual(Array.from({ length: RELEASES }, (_, number) => `package-${1_000 + number}`))
    expect(asked.map(({ url }) => url.pathname.slice(0, 6))).toEqual(['/g/g1.', '/g/g1.', '/g/g1.'])
  })

  it('compressed is asked for compressed again', async () => {
    await using world = await stocked()
    const { depot, session } = world
    const whole = Buffer.from(catalogOf(depot.contents.get(depot.head.gid) ?? []))
    const packed = gzipSync(whole)
    const { asked } = breaking(world, isCatalog, ({ response }, count) => {
      const headers = { 'content-encoding': 'gzip', etag: `"${depot.head.gid};gzip"` }
      if (count === 1) breakOff(response, packed, packed.length >> 1, headers)
      else response.writeHead(200, headers).end(packed)
    })
    expect(await collect(session.catalog('stable'))).toHaveLength(RELEASES)
    expect(asked.map(({ request }) => request.headers['accept-encoding'])).toEqual([
      'gzip, deflate',
      'gzip, deflate',
    ])
  })

  it('ends with a failure when it breaks off again and again, and never as if it were whole', async () => {
    await using world = await stocked()
    const whole = Buffer.from(catalogOf(world.depot.contents.get(world.depot.head.gid) ?? []))
    const { asked } = breaking(world, isCatalog, ({ response }) => breakOff(response, whole, 100, {}))
    await expectFailure(collect(world.session.catalog('stable')), 'depot-unreachable')
    // Once more where the first bytes were lost on their way.
    expect([6, 7]).toContain(asked.length)
  })

  it('is not gone on with in another version of it', async () => {
    await using world = await stocked()
    const whole = Buffer.from(catalogOf(world.depot.contents.get(world.depot.head.gid) ?? []))
    breaking(world, isCatalog, ({ response }, count) =>
      breakOff(response, whole, 1_000, { etag: `"version ${count}"` }),
    )
    const error = await expectFailure(collect(world.session.catalog('stable')), 'answer-invalid')
    expect(error.message).toContain('"version 2", although "version 1" was begun')
  })

  it.each([1, 2])('of another generation is let go, which is answer %i', async (wrongOne) => {
    await using depot = await FakeDepot.start()
    const [zero] = depot.generations
    depot.commit([releaseOf({ name: 'x', version: '1.0.0', files: [] })])
    const letGo: number[] = []
    let count = 0
    const { client } = clientOf(depot, {
      fetch: async (url, init) => {
        if (!isCatalog(url)) return await fetch(url, init)
        count += 1
        const answer = count
        const body = new ReadableStream({
          pull: (stream) => {
            if (answer === wrongOne) stream.enqueue(Buffer.from('{'))
            else stream.error(new Error('it broke off'))
          },
          cancel: () => void letGo.push(answer),
        })
        const { gid = '' } = (answer === wrongOne ? zero : depot.head) ?? {}
        return new Response(body, { headers: { 'depot-generation': gid } })
      },
    })
    const session = await client.session()
    await expectFailure(collect(session.catalog('stable')), 'answer-invalid')
    expect([count, letGo]).toEqual([wrongOne, [wrongOne]])
  })

  it('tells all changes once too, though nobody knows how many there are', async () => {
    await using world = await stocked()
    const { depot, session } = world
    const lines = (depot.contents.get(depot.head.gid) ?? []).map(({ line }) => ({ op: 'added', ...line }))
    const whole = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
    breaking(world, isCatalog, ({ response }, count) => {
      if (count <= 2) breakOff(response, whole, 15_000 * count, {})
      else response.end(whole)
    })
    const [zero] = depot.generations
    expect(await collect(session.changes('stable', zero!.gid))).toEqual(lines)
  })
})

describe('an answer that breaks off', () => {
  it.each([
    ['the head', '/v1/head', async (depot: FakeDepot) => await clientOf(depot).client.head()],
    [
      'a channel',
      '/v1/channels/stable',
      async (depot: FakeDepot) => await (await clientOf(depot).client.session()).channel('stable'),
    ],
    [
      'a manifest',
      '/package-1007/1.0.0',
      async (depot: FakeDepot) =>
        await (await clientOf(depot).client.session()).manifest('stable', 'package-1007', '1.0.0'),
    ],
  ])('is asked for again: %s', async (_, end, read) => {
    await using world = await stocked()
    const { depot } = world
    let broken = 0
    depot.takeOver = ({ response, url }) => {
      if (!url.pathname.endsWith(end) || broken === 3) return false
      broken += 1
      breakOff(response, Buffer.from('{"gid":"g1.'.padEnd(1_000)), 11, { 'depot-generation': depot.head.gid })
      return true
    }
    expect(await read(depot)).toBeTypeOf('object')
    expect(broken).toBe(3)
  })
})

describe('an answer under the right pin that lies', () => {
  it.each([
    ['of a release', { manifest: `sha256:${'0'.repeat(64)}` }],
    ['of its status', { status: 'yanked' }],
    ['of a release that is not there', { name: 'package-9' }],
    ['of another name, though that is there', 'package-1001'],
  ])('%s is refused, for the tree of the generation knows better', async (_, lie) => {
    await using world = await stocked()
    const { depot, session } = world
    const releases = depot.contents.get(depot.head.gid) ?? []
    const [first] = releases
    const told =
      typeof lie === 'string'
        ? releases.find(({ line }) => line.name === lie)?.line
        : { ...first?.line, ...lie }
    breaking(
      world,
      (url) => url.pathname.endsWith('/manifests/package-1000'),
      ({ response }) => json(response, { releases: [told] }),
    )
    await expectFailure(collect(session.releases('stable', 'package-1000')), 'answer-invalid')
    expect((await session.manifest('stable', 'package-1000', '1.0.0')).name).toBe('package-1000')
  })

  it.each([{ releases: 1 }, { format: 'other' }, { frozen: true }])(
    'of a channel is refused: %j',
    async (what) => {
      await using world = await stocked()
      const { depot, session } = world
      const lie = { ...channelOf(depot.contents.get(depot.head.gid) ?? []), ...what }
      breaking(
        world,
        (url) => url.pathname.includes('/v1/channels'),
        ({ response, url }) => json(response, url.pathname.endsWith('s') ? { channels: [lie] } : lie),
      )
      await expectFailure(session.channel('stable'), 'answer-invalid')
      await expectFailure(collect(session.channels()), 'answer-invalid')
    },
  )

  it('of another channel than was asked for is refused', async () => {
    await using world = await stocked()
    const { depot, session } = world
    const stable = channelOf(depot.contents.get(depot.head.gid) ?? [])
    breaking(
      world,
      (url) => url.pathname.endsWith('/v1/channels/other'),
      ({ response }) => json(response, stable),
    )
    await expectFailure(session.channel('other'), 'answer-invalid')
  })

  it.each(['the metaset', 'a node'])('about %s is refused', async (which) => {
    await using world = await stocked()
    const { depot, session } = world
    const bytes =
      which === 'a node' ? catalogOf([releaseOf({ name: 'x', version: '1.0.0', files: [] })]) : '{}'
    const { record } = depot.head
    breaking(
      world,
      ({ pathname }) =>
        pathname.startsWith('/o/') &&
        pathname.endsWith(record.metaset.slice(7)) === (which === 'the metaset'),
      ({ response }) => response.setHeader('depot-generation', 'any').end(bytes),
    )
    await expectFailure(session.manifest('stable', 'package-1000', '1.0.0'), 'digest-mismatch')
  })

  it('that a part of it is not there is held against what became of the generation', async () => {
    await using world = await stocked()
    const { depot, session } = world
    depot.nodes.clear()
    await expectFailure(session.manifest('stable', 'package-1000', '1.0.0'), 'not-found')
    // The next head has its own nodes.
    depot.retired.add(depot.head.gid)
    depot.commit([releaseOf({ name: 'package-1000', version: '1.0.0', files: [] })])
    expect((await session.manifest('stable', 'package-1000', '1.0.0')).name).toBe('package-1000')
    expect(session.generation).toEqual(depot.head)
  })
})
