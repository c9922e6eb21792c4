/**
 * That the check of I28 finds what it is for, and nothing else.
 */
import { describe, expect, it } from 'vitest'
import { active, asked, failed, gid, history, rowsOf } from '../a-history.ts'
import { oneCommit } from './publish.ts'

const commit = { method: 'POST', url: '/v1/stages/s/commit', key: 'k', status: 201, made: gid(2), at: 150 }
const rollback = { ...commit, url: '/v1/rollback', made: gid(3), at: 250 }

describe('I28: one commit, one generation', () => {
  it('holds for the same answer again, whatever the key, and for commits without an answer', () => {
    const good = history(
      active(0, 1, 2, 3, 4),
      asked(commit),
      failed(commit),
      asked({ ...commit, key: 'another' }),
      asked({ ...commit, status: 503, made: undefined as never }),
      asked(rollback),
      failed({ ...rollback, key: 'b' }),
      asked({ method: 'POST', url: '/v1/stages', status: 201, at: 150 }),
    )
    expect(oneCommit(good)).toEqual([])
  })

  it('is broken by two answers to one commit', () => {
    const bad = history(active(2, 3), asked(commit), asked({ ...commit, made: gid(3) }))
    expect(rowsOf(oneCommit(bad))).toEqual([[0, 1]])
    const again = history(active(3, 4), asked(rollback), asked({ ...rollback, made: gid(4) }))
    expect(rowsOf(oneCommit(again))).toEqual([[0, 1]])
  })

  it('is broken by a generation more than anybody can have committed', () => {
    expect(oneCommit(history(active(1, 2, 3), asked(commit)))).toHaveLength(1)
    expect(oneCommit(history(active(1, 2, 3), failed(commit)))).toHaveLength(1)
    expect(oneCommit(history(active(1, 2), failed(commit)))).toEqual([])
  })
})
