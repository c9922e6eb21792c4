/**
 * A generation by what people have at hand: its id, its number, a moment, or `head`.
 */
import type { Ledger } from '../../ledger/ledger.ts'
import { failure } from '../../model/errors.ts'
import { type Generation, isGid } from '../../model/generation.ts'
import { epochOf } from '../../model/instant.ts'
import { clip } from '../../model/name.ts'
import { resolveGeneration } from '../freshness.ts'
import type { Head } from '../head.ts'

export interface FindParts {
  readonly head: Pick<Head, 'now'>
  readonly generations: Pick<Ledger['generations'], 'get' | 'list' | 'lineages'>
}

const NUMBER = /^g?(0|[1-9]\d{0,14})$/

/** A moment gives the newest generation at or before it. Fails with `not-found`, or as `resolveGeneration` does. */
export function findGeneration({ head, generations }: FindParts, ref: string): Generation {
  if (ref === 'head') return head.now()
  if (isGid(ref)) return resolveGeneration(generations, head.now(), { pin: ref })
  const number = NUMBER.exec(ref)?.[1]
  const epochMs = epochOf(ref)
  if (number === undefined && epochMs === undefined)
    throw failure('bad-request', {
      reason: `"${clip(ref)}" is not a generation: a gid, a number, an RFC 3339 time, or head`,
    })
  const [found] =
    number === undefined
      ? generations.list({ kind: 'time', atMostMs: epochMs ?? 0 }, 1)
      : generations.list({ kind: 'number', atMost: Number(number) }, 1)
  const isIt = number === undefined || found?.record.number === Number(number)
  if (found === undefined || !isIt) throw failure('not-found', { what: `generation ${clip(ref)}` })
  return found
}
