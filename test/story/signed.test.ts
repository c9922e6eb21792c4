/**
 * A signed depot from outside: processes, a rotation through a replica, and somebody in between who strips signatures.
 */
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { Generation } from '../../src/client/index.ts'
import type { KeysBody } from '../../src/wire/keys.ts'
import { run } from '../cli/run.ts'
import { publish } from '../support/publish.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { headAt } from './chain.ts'
import { type Served, served } from './served.ts'

const QUICK = ['--drain-seconds', '0']

/** Passes everything on to the depot; when it lies, generations have no signatures on their way back. */
async function mirrorOf(
  target: string,
): Promise<AsyncDisposable & { readonly url: string; isLying: boolean }> {
  const server = createServer((asked, answer) => {
    passOn(asked, answer)
  })
  function passOn(asked: IncomingMessage, answer: ServerResponse): void {
    const { method, url = '', headers } = asked
    const passed = request(new URL(url, target), { method, headers, agent: false }, (came) => {
      const lies = mirror.isLying && /^\/v1\/(?:head|generations|replication\/log)/.test(url)
      const pieces: Buffer[] = []
      if (!lies) {
        answer.writeHead(came.statusCode ?? 502, came.headers)
        came.pipe(answer)
        return
      }
      came.on('data', (piece: Buffer) => pieces.push(piece))
      came.on('end', () => {
        const { 'content-length': _, 'transfer-encoding': __, ...kept } = came.headers
        const text = Buffer.concat(pieces).toString()
        answer.writeHead(came.statusCode ?? 502, kept)
        answer.end(text.replaceAll(/"signatures":\[[^\]]*\]/g, '"signatures":[]'))
      })
    })
    passed.on('error', () => answer.destroy())
    answer.on('close', () => passed.destroy())
    asked.pipe(passed)
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const mirror = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    isLying: false,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return mirror
}

async function keysOf({ url }: { readonly url: string }): Promise<KeysBody> {
  return (await (await fetch(`${url}/v1/keys`)).json()) as KeysBody
}

async function headOf({ url }: { readonly url: string }): Promise<Generation> {
  return (await (await fetch(`${url}/v1/head`)).json()) as Generation
}

function signersOf({ signatures }: Generation): readonly string[] {
  return signatures.map((signature) => signature.split(':')[0] ?? '')
}

it('a depot is believed as long as its keys lead to each other, whoever stands in between', async () => {
  await using folder = await temporaryFolder()
  await using origin = await served({ data: join(folder.path, 'origin'), flags: QUICK })
  await using mirror = await mirrorOf(origin.url)
  const { token: upstreamToken } = await origin.client.createToken({ label: 'r', scopes: ['replicate'] })
  const data = join(folder.path, 'r1')
  const follow = ['--role', 'replica', '--upstream', mirror.url, '--node-id', 'r1']
  await using replica: Served = await served({
    data,
    flags: [...QUICK, ...follow],
    environment: { DEPOT_UPSTREAM_TOKEN: upstreamToken },
    token: origin.token,
  })
  await expect.poll(async () => (await fetch(`${replica.url}/readyz`)).status, { timeout: 20_000 }).toBe(200)
  const environment = { DEPOT_TOKEN: origin.token, DEPOT_STATE: join(folder.path, 'state') }
  const cli = async (...words: readonly string[]): ReturnType<typeof run> => await run(words, { environment })
  const through = ['--depot', mirror.url]

  const { current: old } = await keysOf(origin)
  const first = await publish(origin.client, { name: 'hello', version: '1.0.0' })
  expect(signersOf(await headOf(origin))).toEqual([old])
  expect((await cli('floor', ...through)).stdout.trim()).toBe(first.gid)

  // Rotated through the replica, which answers for the keys itself.
  const rotated = await cli('key', 'rotate', '--depot', replica.url)
  expect([rotated.exit, rotated.stderr]).toEqual([0, ''])
  const { current } = await keysOf(origin)
  await expect.poll(async () => (await keysOf(replica)).current, { timeout: 10_000 }).toBe(current)
  await publish(origin.client, { name: 'hello', version: '2.0.0' })
  await expect.poll(async () => signersOf(await headOf(replica)), { timeout: 10_000 }).toEqual([current, old])
  expect((await cli('key', 'retire', old, '--depot', origin.url)).exit).toBe(0)
  expect((await cli('key', 'list', '--depot', replica.url)).stdout).toContain(`${current}  current`)
  const third = await publish(origin.client, { name: 'hello', version: '3.0.0' })
  expect(signersOf(await headOf(origin))).toEqual([current])
  expect((await cli('floor', ...through)).stdout.trim()).toBe(third.gid)
  // Itself, and not with an answer of the origin: that is all that it will have while it is lied to.
  await expect.poll(async () => await headAt(replica), { timeout: 10_000 }).toBe(`200 ${third.gid} r1 fresh`)

  mirror.isLying = true
  const fourth = await publish(origin.client, { name: 'hello', version: '4.0.0' })
  const lied = await cli('floor', ...through)
  expect([lied.exit, lied.stdout]).toEqual([1, ''])
  expect(lied.stderr).toContain('not signed by a key that is trusted')
  const status = async (): Promise<string> => (await cli('replica', 'status', '--depot', origin.url)).stdout
  await expect.poll(status, { timeout: 10_000 }).toContain('diverged, generation-unsigned')
  expect((await headOf(replica)).gid).toBe(third.gid)
  const headers = { authorization: `Bearer ${origin.token}`, 'content-type': 'application/json' }
  const write = await fetch(`${replica.url}/v1/stages`, { method: 'POST', body: '{}', headers })
  expect([write.status, await write.json()]).toEqual([
    502,
    expect.objectContaining({ type: '/problems/generation-unsigned', pinned: current, signers: [] }),
  ])
  expect(await (await fetch(`${replica.url}/metrics`)).text()).toContain('\ndepot_upstream_refused 1\n')
  expect(replica.log()).toContain('generation-unsigned')

  mirror.isLying = false
  expect((await cli('floor', ...through)).stdout.trim()).toBe(fourth.gid)
  await expect.poll(async () => (await headOf(replica)).gid, { timeout: 15_000 }).toBe(fourth.gid)

  // What signs is nowhere but in its own file.
  const pem = await readFile(join(folder.path, 'origin', 'keys', `${current}.pem`), 'utf8')
  const [, secret = ''] = pem.split('\n')
  expect(origin.log()).not.toContain(secret)
  await origin.end('SIGKILL')
  await using again = await served({ data: join(folder.path, 'origin'), flags: QUICK })
  expect((await keysOf(again)).current).toBe(current)
  expect((await headOf(again)).gid).toBe(fourth.gid)
}, 60_000)
