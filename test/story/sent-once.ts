/**
 * What a balancer must not send twice: for stories of whichever program.
 */
import { expect } from 'vitest'
import { exchange } from '../support/exchange.ts'
import { type FakeReplica, fakeReplica, hangUp, refuse } from '../support/fake-replica.ts'
import { balancer, type Program } from './balancer.ts'

type Respond = FakeReplica['respond']

/** What a replica does, with which method, how, and what the clients of it and of a good one get. */
export type Trouble = readonly [what: string, method: string, respond: Respond, statuses: readonly number[]]

const TRIES = 20

export function troubles(methods: readonly string[]): readonly Trouble[] {
  return methods.flatMap((method): readonly Trouble[] => [
    ['refuses', method, refuse, [200, 503]],
    ['breaks off', method, hangUp, [200, 502]],
  ])
}

export async function expectSentOnce(
  program: Program,
  wish: { readonly method: string; readonly respond: Respond; readonly statuses: readonly number[] },
): Promise<void> {
  const { method, respond, statuses } = wish
  await using bad = await fakeReplica('bad')
  await using good = await fakeReplica('good')
  bad.respond = respond
  await using front = await balancer(program, [bad.url, good.url])
  const seen = new Set<number>()
  for (let count = 0; count < TRIES; count += 1) {
    seen.add((await exchange(front.url, `/v1/${count}`, { method, body: 'once' })).status)
    expect(bad.asked.length + good.asked.length).toBe(count + 1)
  }
  expect([...seen].sort((a, b) => a - b)).toEqual(statuses)
}
