/**
 * One of two depots behind a balancer drains while it is read: no GET fails, neither meanwhile nor when it is gone.
 */
import { join } from 'node:path'
import { expect } from 'vitest'
import { exchange } from '../support/exchange.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { balancer, type Program } from './balancer.ts'
import { served } from './served.ts'

const TRIES = 20

/** What the balancer has logged by the end. */
export async function logOfDraining(program: Program, drainSeconds: number): Promise<string> {
  await using folder = await temporaryFolder()
  const flags = ['--drain-seconds', String(drainSeconds)]
  await using one = await served({ data: join(folder.path, 'one'), flags })
  await using two = await served({ data: join(folder.path, 'two') })
  await using front = await balancer(program, [one.url, two.url])
  let isGone = false
  const ended = one.end('SIGTERM').finally(() => {
    isGone = true
  })
  for (let left = TRIES; left > 0; left -= isGone ? 1 : 0)
    expect((await exchange(front.url, '/v1/head')).status).toBe(200)
  expect((await ended).code).toBe(0)
  return front.log()
}
