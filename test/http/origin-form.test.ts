/**
 * A request that names a resource as a proxy would be asked for it (RFC 9112 §3.2.2).
 */
import { expect, it } from 'vitest'
import { rawExchange } from '../support/raw-socket.ts'
import { replicating } from './a-node.ts'
import { expectWellFormed } from './well-formed.ts'

it('is one for the path in it, and no other node is asked for the address', async () => {
  const asked: (string | undefined)[] = []
  await using here = await replicating({
    elsewhere: ({ raw }) => {
      asked.push(raw.url)
      return undefined
    },
  })
  here.node.mode = 'lag'
  const targets = [
    'http://other.example:1/v1/head',
    'HTTP://other.example/v1/head?x=/y',
    '/v1/head?x=http://z/',
  ]
  for (const target of targets)
    await rawExchange(here.face.url, `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
  expect(asked).toEqual(['/v1/head', '/v1/head?x=/y', '/v1/head?x=http://z/'])
})

it.each(['http://x', 'http://x?a=1', 'http:///v1/head', '*', 'x'])(
  'is answered well where it names none: %s',
  async (target) => {
    await using here = await replicating()
    const answer = await rawExchange(
      here.face.url,
      `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    )
    expectWellFormed(answer, target)
    expect([400, 404]).toContain(answer.status)
  },
)
