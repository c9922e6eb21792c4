/**
 * A generation by what people have at hand: its id, its number, a moment, or `head`.
 */
import type { Ledger } from '../../ledger/ledger.ts'
import { failure } from '../../model/errors.ts'
import { type Generation, isGid } from '../../model/generation.ts'
import { epochOf, parseInstant } from '../../model/instant.ts'
import { clip } from '../../model/name.ts'
import { knownGeneration } from '../freshness.ts'
import type { Head } from '../head.ts'

export interface FindParts {
  readonly head: Pick<Head, 'now'>
  readonly generations: Pick<Ledger['generations'], 'get' | 'list' | 'lineages'>
}

const NUMBER = /^g?(0|[1-9]\d{0,14})$/

/**
 * A moment gives the newest generation at or before it. Nothing is found that is newer than the head that is handed in,
 * so that under a pin the answer is the same for ever. What it names need
 * not be here. Fails with `not-found`, or as `resolveGeneration` does.
 */
export function findGeneration({ head, generations }: FindParts, ref: string): Generation {
  const newest = head.now()
  if (ref === 'head') return newest
  const found = isGid(ref)
    ? knownGeneration(generations, newest, ref)
    : byNumberOrTime(generations, newest, ref)
  if (found === undefined || found.record.number > newest.record.number)
    throw failure('not-found', { what: `generation ${clip(ref)}` })
  return found
}

function byNumberOrTime(
  generations: Pick<Ledger['generations'], 'list'>,
  newest: Generation,
  ref: string,
): Generation | undefined {
  const number = NUMBER.exec(ref)?.[1]
  if (number !== undefined) {
    const [found] = generations.list({ kind: 'number', atMost: Number(number) }, 1)
    return found?.record.number === Number(number) ? found : undefined
  }
  const epochMs = epochOf(ref)
  if (epochMs === undefined)
    throw failure('bad-request', {
      reason: `"${clip(ref)}" is not a generation: a gid, a number, an RFC 3339 time, or head`,
    })
  if (epochMs >= parseInstant(newest.record.created)) return newest
  return generations.list({ kind: 'time', atMostMs: epochMs }, 1)[0]
}
