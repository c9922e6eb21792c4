/** Whom a client believes: a depot, and not who stands in between (PROTOCOL §13). */
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { MemoryFloor } from '../../../src/client/floor.ts'
import { decodePin, FilePins, MemoryPins, type PinStore } from '../../../src/client/keys/pins.ts'
import { encodeRecord, type Generation, gidOf } from '../../../src/model/generation.ts'
import type { KeyId, SigningKey } from '../../../src/model/keys/key.ts'
import { replaced } from '../../../src/model/keys/ring.ts'
import { BEGAN_MS, DAY_MS, keyOf, ringOfKeys } from '../../model/keys/some-keys.ts'
import { realRandom } from '../../support/real-world.ts'
import { json } from '../../wire/playing-server.ts'
import { FakeDepot } from '../fake-depot.ts'
import { clientOf, expectFailure, temporaryFolder } from '../world.ts'

const [a, b, c, evil] = [keyOf('a'), keyOf('b'), keyOf('c'), keyOf('evil')]

/** At generation 1, signed by this key, which is the last one of these. */
async function signedDepot(...keys: readonly [SigningKey, ...SigningKey[]]): Promise<FakeDepot> {
  const depot = await FakeDepot.start()
  rotate(depot, ...keys)
  depot.commit([])
  return depot
}

/** From now on it signs with the last of these keys. */
function rotate(depot: FakeDepot, ...keys: readonly [SigningKey, ...SigningKey[]]): void {
  depot.ring = ringOfKeys(...keys)
  depot.signers = keys.slice(-1)
}

function asksForKeys({ asked }: FakeDepot): number {
  return asked.filter((line) => line.endsWith('/v1/keys')).length
}

/** Whoever stands in between makes other signatures of those of the head. */
function lying(depot: FakeDepot, lie: (head: Generation) => readonly string[]): void {
  depot.takeOver = ({ response, url }) => {
    if (url.pathname !== '/v1/head') return false
    const { head } = depot
    json(response, { ...head, signatures: lie(head) }, { 'depot-generation': head.gid })
    return true
  }
}

/** A client that has seen the depot, in a process of before. */
async function seen(depot: FakeDepot): Promise<{ readonly pins: PinStore; readonly floor: MemoryFloor }> {
  const kept = { pins: new MemoryPins(), floor: new MemoryFloor() }
  await clientOf(depot, kept).client.head()
  return kept
}

async function pinnedIn(pins: PinStore): Promise<KeyId | undefined> {
  const text = await pins.read()
  return text && decodePin(text).pinned
}

describe('a client', () => {
  it('takes a depot as it is that signs nothing, and asks it for no keys', async () => {
    await using depot = await FakeDepot.start()
    const { pins } = await seen(depot)
    expect([asksForKeys(depot), await pins.read()]).toEqual([0, undefined])
  })

  it('pins the first key that it sees, and asks for keys once', async () => {
    await using depot = await signedDepot(a)
    const kept = await seen(depot)
    expect([asksForKeys(depot), await pinnedIn(kept.pins)]).toEqual([1, a.id])
    depot.commit([])
    const { client } = clientOf(depot, kept)
    for (const ref of ['head', '1', depot.head.gid]) await client.generation(ref)
    await client.session()
    expect(asksForKeys(depot)).toBe(1)
  })

  it('keeps it where it keeps its floor, for every process, and takes no other file for it', async () => {
    await using depot = await signedDepot(a)
    await using folder = await temporaryFolder()
    const pins = (): FilePins => new FilePins({ folder: folder.path, url: depot.url, random: realRandom })
    await clientOf(depot, { pins: pins() }).client.head()
    expect(await pinnedIn(pins())).toBe(a.id)
    rotate(depot, evil)
    depot.commit([])
    await expectFailure(clientOf(depot, { pins: pins() }).client.head(), 'key-untrusted')
    expect(await pinnedIn(pins())).toBe(a.id)
    const [name = ''] = await readdir(folder.path)
    for (const text of ['', '{}', JSON.stringify({ depot: depot.url, keys: '{"pinned":"k","ring":{}}' })]) {
      await writeFile(join(folder.path, name), text)
      await expectFailure(clientOf(depot, { pins: pins() }).client.head(), 'data-unusable')
    }
  })

  it('finds its way over two rotations that it has not seen, and what the first key signs counts no more', async () => {
    await using depot = await signedDepot(a)
    const kept = await seen(depot)
    const old = depot.head
    rotate(depot, a, b)
    rotate(depot, a, b, c)
    depot.commit([])
    const { client } = clientOf(depot, kept)
    expect((await client.head()).gid).toBe(depot.head.gid)
    expect(await pinnedIn(kept.pins)).toBe(c.id)
    // All generations of this fake are of a day when the first key counted no more.
    await expectFailure(client.generation(old.gid), 'generation-unsigned')
    expect(asksForKeys(depot)).toBe(2)
  })

  it('moves its pin on as soon as it sees a new key, while both sign', async () => {
    await using depot = await signedDepot(b)
    const kept = await seen(depot)
    rotate(depot, b, c)
    depot.signers = [c, b]
    depot.commit([])
    await clientOf(depot, kept).client.head()
    expect(await pinnedIn(kept.pins)).toBe(c.id)
  })
})

it('an old key that was stolen cannot sign a head, whatever time that claims, once a client has seen the new key', async () => {
  await using depot = await signedDepot(a)
  const kept = await seen(depot)
  rotate(depot, a, b)
  depot.commit([])
  await clientOf(depot, kept).client.head()
  depot.takeOver = ({ response, url }) => {
    if (url.pathname !== '/v1/head') return false
    // Created when the old key was good.
    const record = { ...depot.head.record, number: 99, created: new Date(BEGAN_MS + DAY_MS).toISOString() }
    const signatures = [a.sign('generation', encodeRecord(record))]
    const gid = gidOf(record)
    json(response, { gid, record, state: 'active', signatures }, { 'depot-generation': gid })
    return true
  }
  const before = [await kept.pins.read(), await kept.floor.read()]
  await expectFailure(clientOf(depot, kept).client.head(), 'generation-unsigned')
  expect([await kept.pins.read(), await kept.floor.read()]).toEqual(before)
  depot.takeOver = () => false
  depot.commit([])
  expect((await clientOf(depot, kept).client.head()).gid).toBe(depot.head.gid)
})

describe.each<[string, (head: Generation) => readonly string[], 'generation-unsigned' | 'signature-wrong']>([
  ['strips signatures', () => [], 'generation-unsigned'],
  ['swaps them', () => [a.sign('generation', Buffer.from('another'))], 'signature-wrong'],
  ['signs itself', () => [evil.sign('generation', Buffer.from('x'))], 'generation-unsigned'],
  ['sends nonsense', () => ['nonsense'], 'signature-wrong'],
])('somebody in between who %s', (_, lie, code) => {
  it('is refused, and nothing of what was seen is lost', async () => {
    await using depot = await signedDepot(a)
    const kept = await seen(depot)
    const before = [await kept.pins.read(), await kept.floor.read()]
    depot.commit([])
    lying(depot, lie)
    const { client } = clientOf(depot, kept)
    await expectFailure(client.head(), code)
    await expectFailure(client.session(), code)
    expect([await kept.pins.read(), await kept.floor.read()]).toEqual(before)
    depot.takeOver = () => false
    expect((await client.head()).gid).toBe(depot.head.gid)
  })
})

describe('a depot with a key that no pinned one leads to', () => {
  it('is refused with the way out, and taken by who says so, from then on', async () => {
    await using depot = await signedDepot(a)
    const kept = await seen(depot)
    depot.ring = replaced(ringOfKeys(a), c, BEGAN_MS + 20 * DAY_MS)
    depot.signers = [c]
    depot.commit([])
    const error = await expectFailure(clientOf(depot, kept).client.head(), 'key-untrusted')
    expect(error.message).toContain(`--accept-key ${c.id}`)
    await expectFailure(clientOf(depot, { ...kept, acceptKey: evil.id }).client.head(), 'key-untrusted')
    expect(await pinnedIn(kept.pins)).toBe(a.id)
    await clientOf(depot, { ...kept, acceptKey: c.id }).client.head()
    expect(await pinnedIn(kept.pins)).toBe(c.id)
    expect((await clientOf(depot, kept).client.head()).gid).toBe(depot.head.gid)
  })

  it('is refused where it tells no keys any more', async () => {
    await using depot = await signedDepot(a)
    const kept = await seen(depot)
    depot.ring = undefined
    depot.signers = [c]
    depot.commit([])
    await expectFailure(clientOf(depot, kept).client.head(), 'generation-unsigned')
  })

  it('is refused at first sight by who was told the key, and so is one that signs nothing', async () => {
    await using depot = await signedDepot(evil)
    for (const key of [a.id, evil.id]) {
      const pins = new MemoryPins()
      const asked = clientOf(depot, { pins, key }).client.head()
      if (key === evil.id) await asked
      else await expectFailure(asked, 'key-untrusted')
      expect(await pinnedIn(pins)).toBe(key === evil.id ? evil.id : undefined)
    }
    const kept = await seen(depot)
    await expectFailure(clientOf(depot, { ...kept, key: a.id }).client.head(), 'key-untrusted')
    await using bare = await FakeDepot.start()
    await expectFailure(clientOf(bare, { key: a.id }).client.head(), 'generation-unsigned')
  })

  it('is the same one to who was told an older key that leads to it', async () => {
    await using depot = await signedDepot(a, b, c)
    for (const key of [a.id, b.id, c.id]) await clientOf(depot, { key }).client.head()
  })
})
