/**
 * Uploads that take long: they keep a pace, they end with their token, and neither they nor long batches let their stage
 * expire.
 */
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/model/limits.ts'
import { type Engine, engine, IDLE_MS } from '../depot/an-engine.ts'
import type { Answer } from '../support/exchange.ts'
import { type RawConnection, rawConnection } from '../support/raw-socket.ts'
import { faceOver, type TestFace } from './a-face.ts'
import { hexOf } from './read-fixture.ts'
import { type Asked, type Asking, asking, openStage } from './well-formed.ts'

interface Upload {
  readonly url: string
  readonly bytes: Buffer
  readonly ask: Asking
}

async function openUpload(to: Asked): Promise<Upload> {
  const ask = asking(to)
  const id = await openStage(ask)
  const bytes = randomBytes(1_000_000)
  return { ask, bytes, url: `/v1/stages/${id}/blobs/sha256/${hexOf(bytes)}` }
}

/** Sends the head of a PUT of all bytes, and the first of them. */
async function begin(to: Asked, upload: Upload, sent: number): Promise<RawConnection> {
  const connection = await rawConnection(to.url)
  const { url, bytes } = upload
  const head = [`PUT ${url} HTTP/1.1`, 'Host: x', `Authorization: Bearer ${to.token}`]
  connection.send(`${[...head, `Content-Length: ${bytes.length}`].join('\r\n')}\r\n\r\n`)
  connection.send(bytes.subarray(0, sent))
  await untilThere(upload, sent)
  return connection
}

async function untilThere({ ask, url }: Upload, offset: number): Promise<void> {
  await expect
    .poll(async () => (await ask(url, { method: 'HEAD' })).header('upload-offset'))
    .toBe(String(offset))
}

async function goOn({ ask, url, bytes }: Upload, offset: number): Promise<Answer> {
  const headers = { 'content-type': 'application/partial-upload', 'upload-offset': String(offset) }
  return await ask(url, { method: 'PATCH', headers, body: bytes.subarray(offset) })
}

async function withFace(
  test: (at: Engine, face: TestFace) => Promise<void>,
  parts: (at: Engine) => Parameters<typeof faceOver>[1] = () => ({}),
): Promise<void> {
  await using at = await engine()
  await using face = await faceOver(at, parts(at))
  await test(at, face)
}

describe('an upload that hardly moves', () => {
  it('is ended, and goes on from what it brought', async () => {
    await withFace(async (at, face) => {
      const upload = await openUpload(face)
      await using connection = await begin(face, upload, 1_000)
      at.clock.advance(LIMITS.uploadPaceMs)
      connection.send(upload.bytes.subarray(1_000, 1_010))
      const answer = await connection.answer()
      expect([answer.status, answer.problem]).toEqual([408, 'upload-too-slow'])
      expect(answer.json()).toMatchObject({ found: 1_010, least: LIMITS.uploadPaceBytes, seconds: 60 })
      await untilThere(upload, 1_010)
      expect((await goOn(upload, 1_010)).status).toBe(201)
    })
  })

  it('is let go on while it keeps a pace', async () => {
    await withFace(async (at, face) => {
      const upload = await openUpload(face)
      await using connection = await begin(face, upload, 1_000)
      for (let offset = 1_000; offset < upload.bytes.length; offset += LIMITS.uploadPaceBytes) {
        at.clock.advance(LIMITS.uploadPaceMs / 2)
        const end = Math.min(offset + LIMITS.uploadPaceBytes, upload.bytes.length)
        connection.send(upload.bytes.subarray(offset, end))
        if (end < upload.bytes.length) await untilThere(upload, end)
      }
      expect((await connection.answer()).status).toBe(201)
    })
  })
})

it.each(['revoked', 'expired'])('an upload ends with the next piece after its token was %s', async (how) => {
  await withFace(async (at, face) => {
    const expiresMs = at.clock.now() + 10_000
    const { token, secret } = await at.depot.access.create({
      label: 'ci',
      scopes: ['publish:*'],
      ...(how === 'expired' ? { expiresMs } : {}),
    })
    const upload = await openUpload({ url: face.url, token: secret })
    const seen = { ...upload, ask: asking(face) }
    await using connection = await begin({ url: face.url, token: secret }, seen, 100_000)
    if (how === 'expired') at.clock.advance(10_000)
    else expect((await seen.ask(`/v1/tokens/${token.id}`, { method: 'DELETE' })).status).toBe(204)
    connection.send(upload.bytes.subarray(100_000))
    const answer = await connection.answer()
    expect([answer.status, answer.problem]).toEqual([401, 'unauthorised'])
    expect(answer.json()['detail']).toContain('during the upload')
    await untilThere(seen, 100_000)
    // Whoever may still send goes on with it.
    expect((await goOn(seen, 100_000)).status).toBe(201)
  })
})

describe('a stage', () => {
  const manifest = JSON.stringify({ name: 'hello', version: '1.0.0', files: [] })
  const release = '/channels/stable/manifests/hello/1.0.0'
  /** Every call takes longer than a stage may be idle, and somebody looks for idle stages meanwhile. */
  const slow = <Part extends object>(at: Engine, part: Part): Part =>
    new Proxy(part, {
      get: (target, name) => {
        const method = Reflect.get(target, name) as (...how: unknown[]) => Promise<unknown>
        return async (...how: unknown[]) => {
          at.clock.advance(2 * IDLE_MS)
          await at.depot.stages.expire()
          return await method.apply(target, how)
        }
      },
    })
  const slowReleases = (at: Engine): Parameters<typeof faceOver>[1] => ({
    releases: slow(at, at.depot.releases),
  })
  const slowCommits = (at: Engine): Parameters<typeof faceOver>[1] => ({
    commits: slow(at, at.depot.commits),
  })

  it.each([
    {
      what: 'POST of many manifests',
      method: 'POST',
      path: '/channels/stable/manifests',
      type: 'application/x-ndjson',
      body: `${manifest}\n`,
    },
    { what: 'PUT of a manifest', method: 'PUT', path: release, type: 'application/json', body: manifest },
    {
      what: 'PUT of a channel',
      method: 'PUT',
      path: '/channels/other',
      type: 'application/json',
      body: '{}',
    },
  ])('does not expire under a $what that takes long', async ({ method, path, type, body }) => {
    await withFace(async (_, face) => {
      const ask = asking(face)
      const id = await openStage(ask)
      const answer = await ask(`/v1/stages/${id}${path}`, { method, headers: { 'content-type': type }, body })
      expect(answer.status).toBeLessThan(300)
      expect((await ask(`/v1/stages/${id}`)).json()['state']).toBe('open')
    }, slowReleases)
  })
  it.each([
    { what: 'preview', method: 'GET', path: '/preview/v1/channels', status: 200 },
    { what: 'commit', method: 'POST', path: '/commit', status: 200 },
  ])('does not expire under a $what that takes long', async ({ method, path, status }) => {
    await withFace(async (_, face) => {
      const ask = asking(face)
      const id = await openStage(ask)
      expect((await ask(`/v1/stages/${id}${path}`, { method })).status).toBe(status)
    }, slowCommits)
  })
})
