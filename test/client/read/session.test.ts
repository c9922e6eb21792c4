import { describe, expect, it } from 'vitest'
import type { DepotClient } from '../../../src/client/depot-client.ts'
import type { Gid, LineageId } from '../../../src/model/generation.ts'
import { collect } from '../../wire/collect.ts'
import { json, problem } from '../../wire/playing-server.ts'
import { FakeDepot } from '../fake-depot.ts'
import { catalogOf, hostileRelease, releaseOf } from '../fake-release.ts'
import { clientOf, expectFailure } from '../world.ts'

const OTHER = 'forkedforked' as LineageId

interface Stocked extends AsyncDisposable {
  readonly depot: FakeDepot
  readonly client: DepotClient
}

/** A depot with two releases of one name, and a client. */
async function stocked(): Promise<Stocked> {
  const depot = await FakeDepot.start()
  depot.commit([
    depot.release('@scope/pad', '1.1.0', { 'index.js': 'new', 'bin/run.sh': '#!' }),
    depot.release('@scope/pad', '1.0.0', { 'index.js': 'old' }),
  ])
  return {
    depot,
    client: clientOf(depot).client,
    [Symbol.asyncDispose]: async () => await depot[Symbol.asyncDispose](),
  }
}

describe('a session', () => {
  it('reads everything below the generation it was opened on', async () => {
    await using world = await stocked()
    const { depot, client } = world
    const session = await client.session()
    const pinnedTo = depot.head
    depot.commit([])
    expect(session.generation).toEqual(pinnedTo)
    expect(await collect(session.channels())).toMatchObject([{ name: 'stable', releases: 2 }])
    expect((await session.channel('stable')).releases).toBe(2)
    expect((await collect(session.catalog('stable'))).map(({ version }) => version)).toEqual([
      '1.0.0',
      '1.1.0',
    ])
    expect((await collect(session.releases('stable', '@scope/pad'))).length).toBe(2)
    expect((await collect(session.releases('stable', '@scope/pad', '1.0.0'))).length).toBe(1)
    const manifest = await session.manifest('stable', '@scope/pad', '1.0.0')
    expect(manifest.files.map(({ path }) => path)).toEqual(['index.js'])
    const chunks = await collect(session.file('stable', '@scope/pad', '1.1.0', 'bin/run.sh'))
    expect(Buffer.concat(chunks).toString()).toBe('#!')
    const [first, ...rest] = depot.asked
    expect(first).toBe('GET /v1/head')
    expect(rest.filter((asked) => !/^GET \/(g\/g1\.|o\/sha256\/)/.test(asked))).toEqual([])
  })

  it('of a number, or of a gid, is of that one', async () => {
    await using world = await stocked()
    const { depot, client } = world
    depot.commit([])
    expect((await client.session('1')).generation.record.number).toBe(1)
    const [zero] = depot.generations
    expect((await client.session(zero?.gid)).generation).toEqual(zero)
    expect((await client.session('head')).generation).toEqual(depot.head)
  })

  it('refuses an answer of another generation, however right it looks', async () => {
    await using world = await stocked()
    const { depot, client } = world
    const [zero] = depot.generations
    const session = await client.session()
    const twin = await client.session(zero?.gid)
    // A proxy that mixes generations up: it answers for the one what was asked of the other.
    depot.takeOver = (fake) => {
      depot.read(fake, fake.url.pathname.replace(/^\/g\/[^/]+/, `/g/${depot.head.gid}`))
      return true
    }
    expect((await session.channel('stable')).releases).toBe(2)
    await expectFailure(twin.channel('stable'), 'answer-invalid')
    await expectFailure(collect(twin.channels()), 'answer-invalid')
    await expectFailure(collect(twin.catalog('stable')), 'answer-invalid')
    await expectFailure(collect(twin.releases('stable', '@scope/pad')), 'answer-invalid')
    // What it does not have is known from its own tree, whatever anybody says.
    await expectFailure(twin.manifest('stable', '@scope/pad', '1.0.0'), 'not-found')
  })

  it('reads the manifest of a file once, however many of its files are read', async () => {
    await using world = await stocked()
    const { depot, client } = world
    const session = await client.session()
    await collect(session.file('stable', '@scope/pad', '1.1.0', 'bin/run.sh'))
    const before = depot.asked.length
    await collect(session.file('stable', '@scope/pad', '1.1.0', 'index.js'))
    expect(depot.asked.length).toBe(before + 1)
    await expectFailure(collect(session.file('stable', '@scope/pad', '1.1.0', 'nothing')), 'not-found')
  })
})

describe('a manifest', () => {
  it('must hash to what the list of releases names', async () => {
    await using world = await stocked()
    const { depot, client } = world
    const session = await client.session()
    depot.takeOver = ({ response, url }) => {
      if (!url.pathname.endsWith('/1.0.0')) return false
      response.setHeader('depot-generation', depot.head.gid)
      response.end(releaseOf({ name: '@scope/pad', version: '1.0.0', files: [] }).bytes)
      return true
    }
    const error = await expectFailure(session.manifest('stable', '@scope/pad', '1.0.0'), 'digest-mismatch')
    expect(error.details['expected']).toBe(depot.contents.get(depot.head.gid)?.[1]?.line.manifest)
  })

  it('of a yanked release is found too, though ranges skip it', async () => {
    await using depot = await FakeDepot.start()
    const { line, bytes } = releaseOf({ name: 'left-pad', version: '1.0.0', files: [] })
    depot.commit([
      releaseOf({ name: 'left-pad', version: '2.0.0', files: [] }),
      { line: { ...line, status: 'yanked', reason: 'leaks' }, bytes },
    ])
    const session = await clientOf(depot).client.session()
    expect((await session.manifest('stable', 'left-pad', '1.0.0')).version).toBe('1.0.0')
    await expectFailure(session.manifest('stable', 'left-pad', '3.0.0'), 'not-found')
  })

  it.each([
    ['climbs out', { path: '../../etc/passwd' }, 'path-invalid'],
    ['begins at the root', { path: '/etc/passwd' }, 'path-invalid'],
    ['has a backslash', { path: '..\\x' }, 'path-invalid'],
    ['has a size that is none', { size: -1 }, 'manifest-invalid'],
  ] as const)('whose file %s is refused', async (_, more, code) => {
    await using depot = await FakeDepot.start()
    const file = { path: 'x', digest: `sha256:${'0'.repeat(64)}`, size: 1, ...more }
    depot.commit([hostileRelease('evil', '1.0.0', { name: 'evil', version: '1.0.0', files: [file] })])
    const session = await clientOf(depot).client.session()
    await expectFailure(session.manifest('stable', 'evil', '1.0.0'), code)
  })

  it('must be of the release that was asked for', async () => {
    await using depot = await FakeDepot.start()
    const { bytes, line } = releaseOf({ name: 'good', version: '1.0.0', files: [] })
    depot.commit([{ bytes, line: { ...line, name: 'other' } }])
    const session = await clientOf(depot).client.session()
    await expectFailure(session.manifest('stable', 'other', '1.0.0'), 'answer-invalid')
  })
})

describe('a catalog', () => {
  async function readWith(body: (good: string) => string): Promise<unknown> {
    await using world = await stocked()
    const { depot, client } = world
    const session = await client.session()
    depot.takeOver = ({ response, url }) => {
      if (!url.pathname.endsWith('/catalog')) return false
      response.setHeader('depot-generation', depot.head.gid)
      response.end(body(catalogOf(depot.contents.get(depot.head.gid) ?? [])))
      return true
    }
    return await collect(session.catalog('stable'))
  }

  it.each([
    ['is cut off after a line', (good: string) => `${good.split('\n')[0]}\n`, 'answer-invalid'],
    ['is cut off in a line', (good: string) => good.slice(0, -10), 'answer-invalid'],
    ['has a line more', (good: string) => `${good}{"name":"x"}\n`, 'answer-invalid'],
    ['has another digest', (good: string) => good.replace(/sha256:./, 'sha256:x'), 'digest-mismatch'],
    [
      'has its lines in another order',
      (good: string) => good.split('\n').sort().reverse().join('\n'),
      'digest-mismatch',
    ],
    ['has a byte more', (good: string) => good.replace('{', '{ '), 'answer-invalid'],
    ['has an endless line', () => 'x'.repeat(20_000), 'answer-invalid'],
  ] as const)('that %s is refused', async (_, body, code) => {
    await expectFailure(readWith(body), code)
  })

  it('tells what changed since a generation', async () => {
    await using world = await stocked()
    const { depot, client } = world
    const session = await client.session()
    const [zero] = depot.generations
    const since = zero?.gid ?? ('' as Gid)
    const line = { op: 'added', ...depot.contents.get(depot.head.gid)?.[0]?.line }
    depot.takeOver = ({ response, url }) => {
      if (!url.searchParams.has('since')) return false
      response.setHeader('depot-generation', depot.head.gid)
      if (url.searchParams.get('since') === since) response.end(`${JSON.stringify(line)}\n`)
      else problem(response, 410, 'generation-retired', { wanted: url.searchParams.get('since') })
      return true
    }
    expect(await collect(session.changes('stable', since))).toEqual([line])
    await expectFailure(
      collect((await client.session()).changes('stable', 'g9.k3x7m2q5wz4a.0123456789abcdef' as Gid)),
      'generation-retired',
    )
    expect(depot.asked.filter((asked) => asked === 'GET /v1/head').length).toBe(2)
  })
})

describe('pages', () => {
  it.each(['http://evil.example/x', '//evil.example/x', 'x'])('lead to no other host (%s)', async (next) => {
    await using world = await stocked()
    const { depot, client } = world
    const session = await client.session()
    depot.takeOver = ({ response, url }) => {
      if (!url.pathname.endsWith('/channels')) return false
      json(response, { channels: [], next }, { 'depot-generation': depot.head.gid })
      return true
    }
    await expectFailure(collect(session.channels()), 'answer-invalid')
  })
})

describe('a session of the head whose generation is retired', () => {
  it('starts again at the head while it has handed nothing on', async () => {
    await using world = await stocked()
    const { depot, client } = world
    const session = await client.session()
    depot.retired.add(depot.head.gid)
    depot.commit([depot.release('@scope/pad', '1.1.0', { 'index.js': 'x' })])
    const { files } = await session.manifest('stable', '@scope/pad', '1.1.0')
    expect(files.map(({ path }) => path)).toEqual(['index.js'])
    expect(session.generation).toEqual(depot.head)
  })

  it('does so at most twice', async () => {
    await using world = await stocked()
    const { depot, client } = world
    const session = await client.session()
    depot.takeOver = ({ url }) => {
      if (url.pathname !== '/v1/head') depot.retired.add(depot.head.gid)
      else depot.commit([])
      return false
    }
    await expectFailure(session.channel('stable'), 'generation-retired')
    expect(depot.asked.filter((asked) => asked === 'GET /v1/head').length).toBe(3)
  })

  it('stops where a fork has lost it, and goes on only in the lineage that it is told', async () => {
    await using world = await stocked()
    const { depot, client } = world
    const lost = depot.head.gid
    const accepting = clientOf(depot, { acceptLineage: OTHER }).client
    const [stopped, going] = [await client.session(), await accepting.session()]
    depot.commit([depot.release('left-pad', '2.0.0', { 'index.js': 'x' })], OTHER, 1_000)
    depot.takeOver = ({ request, response, url }) => {
      const floor = request.headers['depot-min-generation'] === lost
      if (!floor && !url.pathname.startsWith(`/g/${lost}/`)) return false
      response.setHeader('depot-generation', depot.head.gid)
      const details = { wanted: lost, generation: depot.head.gid, floor }
      problem(response, floor ? 412 : 410, 'generation-lost', details)
      return true
    }
    const error = await expectFailure(stopped.channel('stable'), 'generation-lost')
    expect(error.details).toEqual({ wanted: lost, generation: depot.head.gid, floor: true })
    expect((await going.channel('stable')).releases).toBe(1)
    expect(going.generation).toEqual(depot.head)
  })

  it('fails once it has handed something on: the rest would be of another generation', async () => {
    await using world = await stocked()
    const { depot, client } = world
    const session = await client.session()
    await session.channel('stable')
    depot.retired.add(depot.head.gid)
    depot.commit([])
    await expectFailure(session.channel('stable'), 'generation-retired')
  })

  it('fails when somebody asked for just that generation', async () => {
    await using world = await stocked()
    const { depot, client } = world
    const session = await client.session(depot.head.gid)
    depot.retired.add(depot.head.gid)
    depot.commit([])
    await expectFailure(session.channel('stable'), 'generation-retired')
  })
})

describe('the preview of a stage', () => {
  it('is read like a generation, and its files by their names', async () => {
    await using world = await stocked()
    const { depot, client } = world
    const bytes = 'bytes of the preview'
    depot.commit([depot.release('left-pad', '1.0.0', { 'lib/a b.js': bytes })])
    depot.blobs.clear()
    const session = await client.stage('s1').preview()
    expect(session.generation).toEqual(depot.head)
    expect((await collect(session.catalog('stable'))).length).toBe(1)
    const chunks = await collect(session.file('stable', 'left-pad', '1.0.0', 'lib/a b.js'))
    expect(Buffer.concat(chunks).toString()).toBe(bytes)
    expect(depot.asked.at(-1)).toBe(
      'GET /v1/stages/s1/preview/v1/channels/stable/files/left-pad/1.0.0/lib/a%20b.js',
    )
  })
})
