/**
 * I28: a commit that is sent again, by whomever, makes one generation.
 */
import { type Check, Findings, Tally } from '../finding.ts'
import type { History } from '../history.ts'
import { keyOf } from '../reading.ts'

const COMMIT = /^\/v1\/(?:stages\/[^/]+\/commit|rollback)$/
const DONE = new Set([200, 201, 202])

/** What is judged by the log of the origin holds only when every publisher was recorded. */
export const oneCommit: Check = (history, judged = new Tally()) => {
  const found = new Findings('I28')
  const answered = new Map<number, number>()
  const unanswered = new Set<number>()
  const claimed = new Set<string>()
  let begun = Number.POSITIVE_INFINITY
  for (let row = 0; row < history.length; row += 1) {
    if (!isCommit(history, row)) continue
    judged.one()
    begun = Math.min(begun, history.number('start', row))
    const request = requestOf(history, row)
    const made = history.text('made', row)
    if (made === undefined || !DONE.has(history.number('status', row))) {
      unanswered.add(request)
      continue
    }
    claimed.add(made)
    const before = answered.get(request)
    if (before === undefined) answered.set(request, row)
    else if (history.text('made', before) !== made) found.add('one commit, two generations', before, row)
  }
  const open = [...unanswered].filter((request) => !answered.has(request)).length
  // What was active before anything was committed here is of others, and nobody commits g0.
  const strange = history.order.active.filter(
    ({ gid, at }) => at >= begun && !claimed.has(gid) && !gid.startsWith('g0.'),
  )
  if (strange.length > open)
    found.add(
      `${strange.length} generations that no answer told of, as ${strange[0]?.gid}; ${open} commits had none`,
    )
  return found.violations
}

function isCommit(history: History, row: number): boolean {
  return history.method(row) === 'POST' && COMMIT.test(history.text('path', row) ?? '')
}

/** A stage is committed once, whatever the key; a rollback is told from others by its key alone. */
function requestOf(history: History, row: number): number {
  const isRollback = history.text('path', row) === '/v1/rollback'
  return keyOf(history.id('path', row), isRollback ? history.id('key', row) : 0)
}
