/**
 * What is counted of clients that pin nothing: mixed sessions, steps back, and 404; and that I9 is not for them.
 */
import { expect, it } from 'vitest'
import { active, asked, gid, history } from './a-history.ts'
import { check } from './check.ts'

const stock = { stock: true, client: 'c0' }

it('counts sessions that mix and that go back, and holds nothing of it against a depot', () => {
  const told = check(
    history(
      active(1, 2),
      asked({ ...stock, session: 'a', generations: [gid(1)] }),
      asked({ ...stock, session: 'a', generations: ['any'] }),
      asked({ ...stock, session: 'b', generations: [gid(1)] }),
      asked({ ...stock, session: 'b', generations: [gid(2)], at: 2_000 }),
      asked({ ...stock, session: 'c', generations: [gid(2)], at: 3_000 }),
      asked({ ...stock, session: 'c', generations: [gid(1)], at: 1_000 }),
      asked({ ...stock, session: 'c', url: '/v1/channels/x/manifests/y/1.0.0', status: 404, at: 3_000 }),
    ),
  )
  expect(told.violations).toEqual([])
  expect(told.stock).toEqual({ sessions: 3, mixed: 2, back: 1, notFound: 1 })
  expect(told.cases).toMatchObject({ I9: 0 })
})

it('holds it against a depot when the client is no stock client', () => {
  const session = 'd'
  const lines = [asked({ session, generations: [gid(1)] }), asked({ session, generations: [gid(2)] })]
  const { violations, stock: counted } = check(history(active(1, 2), lines))
  expect(violations.map(({ invariant }) => invariant)).toEqual(['I9'])
  expect(counted.sessions).toBe(0)
})
