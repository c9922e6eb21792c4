/**
 * A disk that is full for uploads (P5): what was let in before is committed all the same.
 */
import { expect, it } from 'vitest'
import { failure } from '../../src/model/errors.ts'
import type { Pool } from '../../src/pool/pool.ts'
import {
  commit,
  engine,
  offered,
  open,
  outcomeOf,
  published,
  type Stores,
  stageRelease,
} from './an-engine.ts'

it('commits and rolls back when the pool takes no more, but for its reserve', async () => {
  const disk = { full: false }
  await using at = await engine({ wrap: (stores) => ({ ...stores, pool: thatMayBeFull(stores, disk) }) })
  const first = await published(at, { version: '1.0.0' })
  const stage = await open(at, at.admin)
  await stageRelease(at, at.admin, stage, { version: '1.1.0' })
  disk.full = true
  expect(await outcomeOf(stageRelease(at, at.admin, stage, { version: '1.2.0' }))).toBe('disk-full')
  await commit(at, at.admin, stage)
  expect(await offered(at)).toEqual(['hello 1.0.0', 'hello 1.1.0'])
  await at.depot.commits.rollback(at.admin, first, { message: 'back' })
  expect(await offered(at)).toEqual(['hello 1.0.0'])
})

function thatMayBeFull({ pool }: Stores, disk: { readonly full: boolean }): Pool {
  const refuse = (): void => {
    if (disk.full) throw failure('disk-full', { free: 0, needed: 1 })
  }
  return {
    put: async (...put) => {
      refuse()
      return await pool.put(...put)
    },
    putAll: async (...put) => {
      refuse()
      return await pool.putAll(...put)
    },
    absent: async (blobs) => await pool.absent(blobs),
    open: (digest) => pool.open(digest),
    remove: async (digests) => await pool.remove(digests),
  }
}
