/**
 * Channels by names that every object has members of already: they are as good as any other.
 */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { publish } from '../support/publish.ts'
import { runningDepot, type TestDepot } from '../support/running-depot.ts'

let depot: TestDepot

beforeAll(async () => {
  depot = await runningDepot()
})
afterAll(async () => {
  await depot[Symbol.asyncDispose]()
})

const CHANNEL = 'constructor'

async function namesAt(path: string): Promise<readonly string[]> {
  const answer = await depot.ask(path)
  expect([path, answer.status]).toEqual([path, 200])
  const lines = (await answer.text()).split('\n').filter((line) => line !== '')
  return lines.map((line) => {
    const { op, name, channel } = JSON.parse(line) as Readonly<Record<string, string>>
    return [op, channel, name].filter(Boolean).join(' ')
  })
}

it('a channel named "constructor" is published, read, compared and rolled back', async () => {
  const empty = await publish(depot.client, { channel: 'stable', name: 'other', version: '1.0.0' })
  const catalog = `/v1/channels/${CHANNEL}/catalog`
  expect((await depot.ask(catalog)).status).toBe(404)
  expect((await depot.ask(`/v1/channels/${CHANNEL}`)).status).toBe(404)
  expect((await depot.ask(`/v1/generations/${empty.gid}/diff/head?channel=${CHANNEL}`)).status).toBe(404)

  const first = await publish(depot.client, { channel: CHANNEL, name: 'a', version: '1.0.0' })
  const second = await publish(depot.client, { channel: CHANNEL, name: 'b', version: '1.0.0' })
  expect(await namesAt(catalog)).toEqual(['a', 'b'])
  expect((await depot.ask(`/v1/channels/${CHANNEL}`)).status).toBe(200)
  expect(await namesAt(`${catalog}?since=${empty.gid}`)).toEqual(['added a', 'added b'])
  expect(await namesAt(`${catalog}?since=${first.gid}`)).toEqual(['added b'])
  expect(await namesAt(`/v1/generations/${empty.gid}/diff/${second.gid}`)).toEqual([
    `added ${CHANNEL} a`,
    `added ${CHANNEL} b`,
  ])

  await rollBack(first.gid)
  expect(await namesAt(catalog)).toEqual(['a'])
  await rollBack(empty.gid)
  expect((await depot.ask(catalog)).status).toBe(404)
  expect(await namesAt(`/g/${second.gid}${catalog}`)).toEqual(['a', 'b'])
})

async function rollBack(to: string): Promise<void> {
  const answer = await depot.ask('/v1/rollback', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ to }),
  })
  expect(answer.status).toBe(201)
}
