/**
 * The short form of the soak: a whole cluster for a few seconds, with two of the things that may happen to it.
 */
import { beforeEach, describe, expect, it } from 'vitest'
import { needs } from '../story/balancer.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { soak } from './soak.ts'
import { JUDGED } from './verdict.ts'

/** What takes longer to bring about is for the long form. */
const RARE = new Set(['I17', 'I21'])

beforeEach(needs('haproxy'))
beforeEach(needs('nginx'))

describe('a cluster under publishers, clients and troubles', () => {
  it('breaks no promise', async () => {
    await using folder = await temporaryFolder()
    const { failures, report } = await soak({
      folder: folder.path,
      seed: 1,
      milliseconds: 12_000,
      balancers: ['haproxy', 'nginx'],
      nemeses: ['kill a replica', 'one-way loss'],
      clients: 2,
      publishers: 2,
      calmMs: 500,
      judged: JUDGED.filter((invariant) => !RARE.has(invariant)),
    })
    expect(failures).toEqual([])
    expect(report.requests).toBeGreaterThan(500)
  }, 180_000)
})
