import { describe, expect, it } from 'vitest'
import { manifestBatches } from '../../../src/client/stage/manifest-batches.ts'
import { LIMITS } from '../../../src/model/limits.ts'
import type { Manifest } from '../../../src/model/manifest.ts'
import { encodeManifest } from '../../../src/model/manifest.ts'
import { semverOrder } from '../../../src/model/version.ts'
import { collect } from '../../wire/collect.ts'
import { json, problem } from '../../wire/playing-server.ts'
import { FakeDepot } from '../fake-depot.ts'
import { declaredIn } from '../fake-stage.ts'
import { clientOf, expectFailure } from '../world.ts'

function manifestOf(name: string, more: object = {}): Manifest {
  return encodeManifest({ name, version: '1.0.0', files: [], ...more }, semverOrder).manifest
}

describe('a stage', () => {
  it('is opened, shown, listed and filled, each at its URL', async () => {
    await using depot = await FakeDepot.start()
    const { client } = clientOf(depot, { token: 'secret' })
    const stage = await client.openStage({ message: 'hello' })
    expect(stage.id).toBe('s1')
    expect((await stage.show()).state).toBe('open')
    expect((await client.stages()).map(({ id }) => id)).toEqual(['s1'])
    const manifest = manifestOf('@scope/pad')
    expect(await stage.put('stable', manifest)).toEqual({
      manifest: encodeManifest(manifest, semverOrder).digest,
      missing: [],
    })
    await stage.remove('stable', '@scope/pad', '0.9.0')
    await stage.mark('stable', '@scope/pad', '0.8.0', { status: 'yanked', reason: 'leaks' })
    await stage.setChannel('stable', { frozen: true })
    await stage.removeChannel('old')
    await stage.abort()
    expect(depot.asked).toEqual([
      'POST /v1/stages',
      'GET /v1/stages/s1',
      'GET /v1/stages',
      'PUT /v1/stages/s1/channels/stable/manifests/%40scope%2Fpad/1.0.0',
      'DELETE /v1/stages/s1/channels/stable/manifests/%40scope%2Fpad/0.9.0',
      'PATCH /v1/stages/s1/channels/stable/manifests/%40scope%2Fpad/0.8.0',
      'PUT /v1/stages/s1/channels/stable',
      'DELETE /v1/stages/s1/channels/old',
      'DELETE /v1/stages/s1',
    ])
    expect(depot.headers.every(({ authorization }) => authorization === 'Bearer secret')).toBe(true)
  })

  it('that was aborted is aborted, also when the first answer was lost', async () => {
    await using depot = await FakeDepot.start()
    depot.takeOver = ({ request }) => {
      if (depot.asked.length > 1) return false
      depot.stage.state = 'aborted'
      request.socket.destroy()
      return true
    }
    await clientOf(depot).client.stage('s1').abort()
    expect(depot.asked).toEqual(['DELETE /v1/stages/s1', 'DELETE /v1/stages/s1'])
  })

  it('tells which of many blobs are missing, in as many requests as it takes', async () => {
    await using depot = await FakeDepot.start()
    const sizes: number[] = []
    depot.takeOver = async ({ request, response }) => {
      const chunks: Buffer[] = []
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
      const blobs = declaredIn(Buffer.concat(chunks))
      sizes.push(blobs.length)
      json(response, { missing: blobs.slice(0, 1).map(({ digest }) => digest) })
      return true
    }
    const blobs = Array.from({ length: LIMITS.missingDigests + 1 }, (_, at) => ({
      digest: `sha256:${at.toString(16).padStart(64, '0')}` as never,
      size: at,
    }))
    const missing = await clientOf(depot).client.stage('s1').missing(blobs)
    expect(sizes).toEqual([LIMITS.missingDigests, 1])
    expect(missing).toEqual([blobs[0]?.digest, blobs.at(-1)?.digest])
  })
})

describe('many manifests', () => {
  it('go in few requests, all of them', async () => {
    await using depot = await FakeDepot.start()
    const names = Array.from({ length: 12_000 }, (_, at) => `package-${at}`)
    async function* manifests(): AsyncGenerator<Manifest> {
      for (const name of names) yield await Promise.resolve(manifestOf(name))
    }
    expect(await clientOf(depot).client.stage('s1').putAll('stable', manifests())).toBe(12_000)
    expect(depot.asked).toEqual(
      Array.from({ length: 2 }, () => 'POST /v1/stages/s1/channels/stable/manifests'),
    )
    expect(depot.stage.staged.map(({ line }) => line.name)).toEqual(names)
  })

  it('may be none', async () => {
    await using depot = await FakeDepot.start()
    expect(await clientOf(depot).client.stage('s1').putAll('stable', [])).toBe(0)
    expect(depot.asked).toEqual([])
  })

  it('are cut by size, and one that is larger than a batch goes alone', async () => {
    const wide = (name: string, bytes: number): Manifest =>
      manifestOf(name, { annotations: { wide: 'x'.repeat(bytes) } })
    const huge = { ...manifestOf('huge'), summary: 'x'.repeat(LIMITS.batchBytes) }
    const many = Array.from({ length: 200 }, (_, at) => wide(`wide-${at}`, 60_000))
    const batches = await collect(manifestBatches([...many, huge]))
    expect(batches.map(({ kind, count }) => [kind, count])).toEqual([
      ['batch', 139],
      ['single', 1],
      ['batch', 61],
    ])
    for (const batch of batches)
      if (batch.kind === 'batch') expect(batch.bytes.length).toBeLessThanOrEqual(8_388_608)
  })

  it('that were not all taken are not believed', async () => {
    await using depot = await FakeDepot.start()
    depot.takeOver = ({ request, response }) => {
      request.resume().on('end', () => json(response, { manifests: [], missing: 0 }))
      return true
    }
    await expectFailure(
      clientOf(depot)
        .client.stage('s1')
        .putAll('stable', [manifestOf('x')]),
      'answer-invalid',
    )
  })
})

describe('a commit', () => {
  it('whose answer was lost is repeated with its key, and happens once', async () => {
    await using depot = await FakeDepot.start()
    depot.stage.staged.push(depot.release('left-pad', '1.0.0', {}))
    let answers = 0
    depot.takeOver = async (fake) => {
      answers += 1
      if (answers > 1) return false
      const { response } = fake
      // The depot commits, and the connection breaks before it can say so.
      response.end = () => response.destroy()
      await depot.stage.answer(fake)
      return true
    }
    const { generation, changed } = await clientOf(depot).client.stage('s1').commit({ message: 'hello' })
    expect([generation, changed]).toEqual([depot.head, true])
    expect(depot.generations.length).toBe(2)
    expect(depot.headers[0]?.['idempotency-key']).toMatch(/^[0-9a-f]{32}$/)
    expect(depot.headers[1]?.['idempotency-key']).toBe(depot.headers[0]?.['idempotency-key'])
  })

  it('of nothing changes nothing', async () => {
    await using depot = await FakeDepot.start()
    const { generation, changed } = await clientOf(depot).client.stage('s1').commit()
    expect([generation, changed]).toEqual([depot.head, false])
  })

  it('only on a base is refused when the head has moved', async () => {
    await using depot = await FakeDepot.start()
    const { gid } = depot.head
    depot.commit([])
    const stage = clientOf(depot).client.stage('s1')
    await expectFailure(stage.commit({ onlyOn: gid, idempotencyKey: 'mine' }), 'base-changed')
    expect(depot.headers[0]).toMatchObject({ 'if-match': `"${gid}"`, 'idempotency-key': 'mine' })
  })

  it('that conflicts says with what', async () => {
    await using depot = await FakeDepot.start()
    const conflicts = [{ channel: 'stable', name: 'left-pad', version: '1.0.0', reason: 'changed' }]
    depot.takeOver = ({ request, response }) => {
      request.resume().on('end', () => problem(response, 409, 'conflict', { conflicts, total: 1 }))
      return true
    }
    const error = await expectFailure(clientOf(depot).client.stage('s1').commit(), 'conflict')
    expect(error.details).toEqual({ conflicts, total: 1 })
  })
})
