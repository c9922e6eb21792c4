import { randomBytes } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Progress, Source } from '../../../src/client/client.ts'
import { sourceOfBytes, sourceOfFile } from '../../../src/client/stage/sources.ts'
import { planTransfers } from '../../../src/client/stage/uploads.ts'
import { type Digest, digestOf } from '../../../src/model/digest.ts'
import { LIMITS } from '../../../src/model/limits.ts'
import { batchedSize } from '../../../src/wire/batch.ts'
import { json, problem } from '../../wire/playing-server.ts'
import { FakeDepot } from '../fake-depot.ts'
import { clientOf, expectFailure, temporaryFolder } from '../world.ts'

const LARGE = randomBytes(1_000_000)

/** Bytes in pieces, so that a connection can break between them. */
function piecewise(bytes: Buffer, opened: number[] = []): Source {
  return {
    ...sourceOfBytes(bytes),
    async *open(start) {
      opened.push(start)
      for (let at = start; at < bytes.length; at += 10_000)
        yield await Promise.resolve(bytes.subarray(at, Math.min(at + 10_000, bytes.length)))
    },
  }
}

function uploadsAsked(depot: FakeDepot): string[] {
  return depot.asked.filter((asked) => asked.includes('/blobs')).map((asked) => asked.split(' ')[0] ?? '')
}

describe('a plan of transfers', () => {
  it('sends everything once, large ones alone, small ones in batches within all bounds', () => {
    const size = fc.oneof(
      fc.nat({ max: LIMITS.smallBlobBytes }),
      fc.integer({ min: LIMITS.smallBlobBytes + 1, max: 1e9 }),
    )
    fc.assert(
      fc.property(fc.array(size, { maxLength: 400 }), (sizes) => {
        const sources = sizes.map(
          (bytes, at): Source => ({ ...sourceOfBytes(Buffer.from(`${at}`)), size: bytes }),
        )
        const plan = planTransfers(sources)
        const sent = plan.flatMap((transfer) =>
          transfer.kind === 'large' ? [transfer.source] : transfer.sources,
        )
        expect(new Set(sent)).toEqual(new Set(sources))
        expect(sent.length).toBe(sources.length)
        for (const transfer of plan) {
          if (transfer.kind === 'large') {
            expect(transfer.source.size).toBeGreaterThan(LIMITS.smallBlobBytes)
            continue
          }
          const bytes = transfer.sources.reduce((sum, source) => sum + batchedSize(source.size), 0)
          expect(bytes).toBeLessThanOrEqual(LIMITS.batchBytes)
          expect(transfer.sources.length).toBeLessThanOrEqual(LIMITS.batchBlobs)
        }
      }),
    )
  })

  it('has no batch of more blobs than a depot takes, however small they are', () => {
    const sources = Array.from(
      { length: LIMITS.batchBlobs + 5 },
      (): Source => ({ ...sourceOfBytes(Buffer.alloc(0)), size: 0 }),
    )
    const counts = planTransfers(sources).map((transfer) =>
      transfer.kind === 'batch' ? transfer.sources.length : 0,
    )
    expect(counts).toEqual([LIMITS.batchBlobs, 5])
  })
})

describe('an upload', () => {
  it('sends what the depot lacks, once, and tells how far it is', async () => {
    await using depot = await FakeDepot.start()
    const small = Array.from({ length: 1_000 }, (_, at) => sourceOfBytes(Buffer.from(`small ${at}`)))
    const [there] = small
    depot.blobs.set(there?.digest ?? ('' as Digest), Buffer.from('small 0'))
    const sources = [
      ...small,
      piecewise(LARGE),
      sourceOfBytes(Buffer.from('small 7')),
      sourceOfBytes(Buffer.alloc(0)),
    ]
    const seen: Progress[] = []
    await clientOf(depot)
      .client.stage('s1')
      .upload(sources, (progress) => seen.push(progress))
    expect(depot.stage.batches).toEqual([1_000])
    expect(depot.blobs.get(digestOf(LARGE))?.equals(LARGE)).toBe(true)
    expect(depot.blobs.size).toBe(1_002)
    const total = LARGE.length + small.reduce((sum, { size }) => sum + size, 0)
    expect(seen[0]).toEqual({ done: 7, total })
    expect(seen.at(-1)).toEqual({ done: total, total })
  })

  it('of nothing, or of what is there already, sends nothing', async () => {
    await using depot = await FakeDepot.start()
    depot.blobs.set(digestOf(LARGE), LARGE)
    await clientOf(depot).client.stage('s1').upload([])
    await clientOf(depot)
      .client.stage('s1')
      .upload([sourceOfBytes(LARGE)])
    expect(depot.asked).toEqual(['POST /v1/stages/s1/missing'])
  })

  it('has at most four requests under way', async () => {
    await using depot = await FakeDepot.start()
    let under = 0
    let most = 0
    depot.takeOver = ({ response, url }) => {
      if (!url.pathname.includes('/blobs/')) return false
      under += 1
      most = Math.max(most, under)
      response.on('close', () => (under -= 1))
      return false
    }
    const sources = Array.from({ length: 12 }, () => sourceOfBytes(randomBytes(100_000)))
    await clientOf(depot).client.stage('s1').upload(sources)
    expect(most).toBeLessThanOrEqual(4)
    expect(depot.blobs.size).toBe(12)
  })

  it('goes on where the connection broke', async () => {
    await using depot = await FakeDepot.start()
    depot.stage.breaks.push(300_000, 200_000)
    const opened: number[] = []
    const seen: Progress[] = []
    const { client } = clientOf(depot)
    await client.stage('s1').upload([piecewise(LARGE, opened)], (progress) => seen.push(progress))
    expect(uploadsAsked(depot)).toEqual(['PUT', 'HEAD', 'PATCH', 'HEAD', 'PATCH'])
    expect(opened[1]).toBeGreaterThan(0)
    expect(opened[2]).toBeGreaterThan(opened[1] ?? 0)
    expect(depot.blobs.get(digestOf(LARGE))?.equals(LARGE)).toBe(true)
    expect(seen.at(-1)).toEqual({ done: LARGE.length, total: LARGE.length })
    expect(Math.max(...seen.map(({ done }) => done))).toBe(LARGE.length)
  })

  it('goes on where the node that passed it on has lost its origin', async () => {
    await using depot = await FakeDepot.start()
    depot.takeOver = ({ method, request, response, url }) => {
      if (method !== 'PUT' || !url.pathname.includes('/blobs/')) return false
      depot.stage.parts.set(digestOf(LARGE), LARGE.subarray(0, 70_000))
      request.resume().on('end', () => problem(response, 503, 'origin-unreachable', { reason: 'gone' }))
      return true
    }
    const opened: number[] = []
    await clientOf(depot)
      .client.stage('s1')
      .upload([piecewise(LARGE, opened)])
    expect(uploadsAsked(depot)).toEqual(['PUT', 'HEAD', 'PATCH'])
    expect(opened).toEqual([0, 70_000])
    expect(depot.blobs.get(digestOf(LARGE))?.equals(LARGE)).toBe(true)
  })

  it('starts again where nothing was kept', async () => {
    await using depot = await FakeDepot.start()
    depot.stage.breaks.push(1)
    depot.takeOver = ({ method }) => {
      if (method === 'HEAD') depot.stage.parts.clear()
      return false
    }
    await clientOf(depot)
      .client.stage('s1')
      .upload([piecewise(LARGE)])
    expect(uploadsAsked(depot)).toEqual(['PUT', 'HEAD', 'PUT'])
    expect(depot.blobs.has(digestOf(LARGE))).toBe(true)
  })

  it('is done when only its answer was lost', async () => {
    await using depot = await FakeDepot.start()
    depot.takeOver = ({ method, request, url }) => {
      if (method !== 'PUT' || !url.pathname.includes('/blobs/')) return false
      depot.blobs.set(digestOf(LARGE), LARGE)
      request.resume().on('end', () => request.socket.destroy())
      return true
    }
    await clientOf(depot)
      .client.stage('s1')
      .upload([sourceOfBytes(LARGE)])
    expect(uploadsAsked(depot)).toEqual(['PUT', 'HEAD'])
  })

  it('waits for somebody who is sending the same, and goes on with his half', async () => {
    await using depot = await FakeDepot.start()
    let refusals = 3
    depot.takeOver = ({ method, request, response, url }) => {
      if (!url.pathname.includes('/blobs/') || method === 'HEAD' || refusals === 0) return false
      refusals -= 1
      depot.stage.parts.set(digestOf(LARGE), LARGE.subarray(0, 400_000))
      request
        .resume()
        .on('end', () => problem(response, 409, 'upload-busy', { digest: digestOf(LARGE), retryAfter: 1 }))
      return true
    }
    const { client, clock } = clientOf(depot)
    await client.stage('s1').upload([sourceOfBytes(LARGE)])
    expect(uploadsAsked(depot)).toEqual(['PUT', 'HEAD', 'PATCH', 'HEAD', 'PATCH', 'HEAD', 'PATCH'])
    expect(clock.slept.length).toBe(3)
    expect(depot.blobs.has(digestOf(LARGE))).toBe(true)
  })

  it('goes on when the depot ended it for being slow', async () => {
    await using depot = await FakeDepot.start()
    depot.takeOver = ({ method, request, response, url }) => {
      if (method !== 'PUT' || !url.pathname.includes('/blobs/')) return false
      depot.stage.parts.set(digestOf(LARGE), LARGE.subarray(0, 400_000))
      const slow = { found: 400_000, least: 500_000, seconds: 60 }
      request.resume().on('end', () => problem(response, 408, 'upload-too-slow', slow))
      return true
    }
    await clientOf(depot)
      .client.stage('s1')
      .upload([sourceOfBytes(LARGE)])
    expect(uploadsAsked(depot)).toEqual(['PUT', 'HEAD', 'PATCH'])
    expect(depot.blobs.has(digestOf(LARGE))).toBe(true)
  })

  it('ends after about a minute without a byte', async () => {
    await using depot = await FakeDepot.start()
    depot.takeOver = ({ method, request, response, url }) => {
      if (!url.pathname.includes('/blobs/') || method === 'HEAD') return false
      request.resume().on('end', () => problem(response, 409, 'upload-busy', { digest: digestOf(LARGE) }))
      return true
    }
    const { client, clock } = clientOf(depot)
    await expectFailure(client.stage('s1').upload([sourceOfBytes(LARGE)]), 'upload-busy')
    expect(clock.monotonic()).toBeGreaterThan(50_000)
    expect(clock.monotonic()).toBeLessThan(120_000)
  })

  it.each(['disk-full', 'unauthorised'])('stops when the depot says %s, and says it too', async (code) => {
    await using depot = await FakeDepot.start()
    depot.takeOver = ({ method, response, url }) => {
      if (!url.pathname.includes('/blobs/') || method === 'HEAD') return false
      problem(response, code === 'disk-full' ? 507 : 401, code, { free: 0, needed: 1, reason: 'no token' })
      return true
    }
    const error = await clientOf(depot)
      .client.stage('s1')
      .upload([sourceOfBytes(randomBytes(70_000))])
      .catch((e: unknown) => e)
    expect(error).toMatchObject({ code })
  })

  it('of bytes that changed since they were hashed is refused here or there, and not sent again and again', async () => {
    await using depot = await FakeDepot.start()
    const stage = clientOf(depot).client.stage('s1')
    const liar = { ...sourceOfBytes(Buffer.from('other')), digest: digestOf('declared') }
    await expectFailure(stage.upload([liar]), 'digest-mismatch')
    expect(depot.asked).toEqual(['POST /v1/stages/s1/missing'])
    const longer = { ...sourceOfBytes(LARGE), size: LARGE.length - 1 }
    await expectFailure(stage.upload([longer]), 'bad-request')
    const shorter = { ...sourceOfBytes(LARGE), size: LARGE.length + 1 }
    await expectFailure(stage.upload([shorter]), 'bad-request')
    const wrong = { ...sourceOfBytes(LARGE), digest: digestOf('declared') }
    await expectFailure(stage.upload([wrong]), 'digest-mismatch')
    expect(depot.blobs.size).toBe(0)
  })

  it.each(['x', '-1', '1000001', '99999999999999999999', undefined])(
    'refuses an offset of %s',
    async (offset) => {
      await using depot = await FakeDepot.start()
      depot.stage.breaks.push(1)
      depot.takeOver = ({ method, response }) => {
        if (method !== 'HEAD') return false
        response.writeHead(204, offset === undefined ? {} : { 'upload-offset': offset }).end()
        return true
      }
      await expectFailure(
        clientOf(depot)
          .client.stage('s1')
          .upload([piecewise(LARGE)]),
        'answer-invalid',
      )
    },
  )

  it('does not believe that another blob was stored', async () => {
    await using depot = await FakeDepot.start()
    depot.takeOver = ({ request, response, url }) => {
      if (!url.pathname.includes('/blobs')) return false
      const stored = digestOf('another')
      request.resume().on('end', () => json(response, { digest: stored, size: 1, stored: [stored] }))
      return true
    }
    const stage = clientOf(depot).client.stage('s1')
    await expectFailure(stage.upload([sourceOfBytes(LARGE)]), 'answer-invalid')
    await expectFailure(stage.upload([sourceOfBytes(Buffer.from('small'))]), 'answer-invalid')
  })
})

describe('a file as a source', () => {
  it('is read from any offset', async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'file')
    await writeFile(path, LARGE)
    const source = await sourceOfFile(path)
    expect(source).toMatchObject({ digest: digestOf(LARGE), size: LARGE.length })
    const chunks: Uint8Array[] = []
    for await (const chunk of source.open(999_000)) chunks.push(chunk)
    expect(Buffer.concat(chunks).equals(LARGE.subarray(999_000))).toBe(true)
  })

  it('that is not there is told, and one that vanished before it was sent', async () => {
    await expectFailure(sourceOfFile('/nowhere/at/all'), 'data-unusable')
    await using depot = await FakeDepot.start()
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'file')
    await writeFile(path, LARGE)
    const source = await sourceOfFile(path)
    await rm(path)
    await expectFailure(clientOf(depot).client.stage('s1').upload([source]), 'data-unusable')
  })
})
