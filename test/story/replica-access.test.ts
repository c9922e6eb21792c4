/**
 * A depot that only who has a token may read, and a replica in front of it, as processes of their own: whom the origin
 * lets in the replica lets in, and nobody else.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ScrubLine } from '../../src/client/index.ts'
import { runProcess } from '../cli/run.ts'
import { publish } from '../support/publish.ts'
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts'
import { type Served, served } from './served.ts'

const CLOSED = ['--drain-seconds', '0', '--reads', 'token']
const METRICS = 'a-token-for-metrics'
const PATIENT = { timeout: 20_000 }

let folder: TemporaryFolder
let origin: Served
let replica: Served
let upstreamToken = ''
let pinned = ''

beforeEach(async () => {
  folder = await temporaryFolder()
  origin = await served({ data: join(folder.path, 'origin'), flags: CLOSED })
  upstreamToken = (await origin.client.createToken({ label: 'r1', scopes: ['replicate'] })).token
  const { gid } = await publish(origin.client, { name: 'hello', version: '1.0.0', files: { a: 'a' } })
  pinned = `/g/${gid}/v1/channels/stable/files/hello/1.0.0/a`
  replica = await follower('r1')
  await ready(replica)
})

afterEach(async () => {
  await replica[Symbol.asyncDispose]()
  await origin[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

async function follower(data: string, id = 'r1'): Promise<Served> {
  return await served({
    data: join(folder.path, data),
    flags: [...CLOSED, '--role', 'replica', '--upstream', origin.url, '--node-id', id],
    environment: { DEPOT_UPSTREAM_TOKEN: upstreamToken, DEPOT_METRICS_TOKEN: METRICS },
    token: origin.token,
  })
}

async function ready({ url }: Served): Promise<void> {
  await expect.poll(async () => (await fetch(`${url}/readyz`)).status, PATIENT).toBe(200)
}

async function get(path: string, token?: string): Promise<Response> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  return await fetch(replica.url + path, { headers })
}

/** What the replica itself answers to who shows this token, whatever may pass it on to the origin. */
async function statusFor(token?: string): Promise<number> {
  const answer = await get(pinned, token)
  await answer.body?.cancel()
  expect(answer.headers.get('depot-node')).toMatch(/^r1;role=replica/)
  return answer.status
}

describe('a replica of a depot with closed reads', () => {
  it('lets in whom the origin lets in, as soon as it does, and nobody any more who was revoked', async () => {
    expect([await statusFor(), await statusFor('depot_nobody')]).toEqual([401, 401])
    const { id, token } = await origin.client.createToken({ label: 'reader', scopes: ['read'] })
    await expect.poll(async () => await statusFor(token)).toBe(200)
    const answer = await get(pinned, token)
    expect([await answer.text(), answer.headers.get('cache-control')]).toEqual([
      'a',
      expect.stringMatching(/^private/),
    ])
    // Its scopes came with it.
    const scrub = await fetch(`${replica.url}/v1/scrub`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
    })
    expect(scrub.status).toBe(403)
    await origin.client.revokeToken(id)
    await expect.poll(async () => await statusFor(token)).toBe(401)
    // Through the replica as well: tokens are made at the origin, and nowhere else.
    const made = await replica.client.createToken({ label: 'through', scopes: ['read'] })
    await expect.poll(async () => await statusFor(made.token)).toBe(200)
    await replica.client.revokeToken(made.id)
    await expect.poll(async () => await statusFor(made.token)).toBe(401)
    expect(await readdir(join(folder.path, 'r1'))).not.toContain('admin.token')
  })

  it('that was killed learns of what was revoked and made meanwhile', async () => {
    const old = await origin.client.createToken({ label: 'old', scopes: ['read'] })
    await expect.poll(async () => await statusFor(old.token)).toBe(200)
    await replica.end('SIGKILL')
    await origin.client.revokeToken(old.id)
    const fresh = await origin.client.createToken({ label: 'fresh', scopes: ['read'] })
    replica = await follower('r1')
    // Never by its old copy, not even before the origin has answered.
    expect(await statusFor(old.token)).toBeOneOf([401, 503])
    await expect.poll(async () => await statusFor(fresh.token), PATIENT).toBe(200)
    expect(await statusFor(old.token)).toBe(401)
  })

  it('goes on without its origin by what it was told last, but not after a restart', async () => {
    const { token } = await origin.client.createToken({ label: 'reader', scopes: ['read'] })
    await expect.poll(async () => await statusFor(token)).toBe(200)
    await origin.end('SIGKILL')
    await expect.poll(async () => (await fetch(`${replica.url}/readyz`)).status, PATIENT).toBe(503)
    expect(await statusFor(token)).toBe(200)
    await replica.end('SIGKILL')
    replica = await follower('r1')
    const refused = await get(pinned, token)
    const { type } = (await refused.json()) as { readonly type: string }
    expect([refused.status, type, refused.headers.get('cache-control')]).toEqual([
      503,
      '/problems/access-unconfirmed',
      'no-store',
    ])
    expect(refused.headers.get('retry-after')).toMatch(/^[1-3]$/)
    const metrics = await get('/metrics', METRICS)
    expect([metrics.status, await metrics.text()]).toEqual([
      200,
      expect.stringMatching(/^depot_access_age_seconds NaN$/m),
    ])
  })
})

describe('an operator of replicas', () => {
  it('sees every node, whichever node is asked, and checks the disk of the one that is', async () => {
    const status = async (url: string): Promise<{ readonly exit: number; readonly text: string }> => {
      const environment = { DEPOT_TOKEN: origin.token }
      const ran = await runProcess(['replica', 'status', '--depot', url], { environment })
      return { exit: ran.exit, text: ran.stdout + ran.stderr }
    }
    await expect.poll(async () => (await status(origin.url)).exit, PATIENT).toBe(0)
    for (const url of [origin.url, replica.url]) {
      const { exit, text } = await status(url)
      expect(text).toMatch(/^head g1\.\S+, 1 node\nNODE .*\nr1 +replica +fresh +g1 +0 +[\d.]+ s ago/)
      expect(exit).toBe(0)
    }
    const lines: ScrubLine[] = []
    for await (const line of replica.client.scrub()) lines.push(line)
    expect(lines.at(-1)).toMatchObject({ kind: 'done', damaged: 0 })
    const counts = await (await get('/metrics', METRICS)).text()
    expect(counts).toMatch(/route="\/v1\/scrub",status="200"\} \d/)
    for (const line of [
      'depot_node_state{state="fresh"} 1',
      'depot_generation_number 1',
      'depot_known_generation_number 1',
      'depot_lag_generations 0',
      'depot_lag_seconds 0',
      'depot_copy_needed 0',
      'depot_node_id_taken 0',
      'depot_holds 0',
    ])
      expect(counts.split('\n')).toContain(line)
    expect(counts).toMatch(/^depot_copies_total [1-9]/m)
  })

  it('is told when two live under one id, and the first goes on', async () => {
    await using second = await follower('r2')
    await expect.poll(() => second.log(), PATIENT).toContain('another node has the id of this one')
    const { headers } = await fetch(`${second.url}/readyz`)
    expect(headers.get('depot-node')).toContain('why=node-id-taken')
    const { nodes } = await origin.client.nodes()
    expect(nodes.map(({ id, isContested }) => [id, isContested])).toEqual([['r1', true]])
    await ready(replica)
    // The id is free for the second one when the first has ended.
    await replica.end('SIGKILL')
    await ready(second)
  })
})
