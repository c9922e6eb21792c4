/**
 * Outcomes of commits, found by token, stage and key, and forgotten by age; ended stages are forgotten with them.
 */
import { canonicalText } from '../model/canonical.ts'
import { digestOf, rawOf } from '../model/digest.ts'
import { timeKey } from './keys.ts'
import type { IdempotencyRecord, Outcomes, StageId } from './ledger.ts'
import { PRESENT, type Row, type Store, type Tables } from './store.ts'

const AGE_BYTES = 8
const OUTCOME = 'o'.charCodeAt(0)

export class LmdbOutcomes implements Outcomes {
  readonly #store: Store
  readonly #tables: Tables

  constructor(store: Store) {
    this.#store = store
    this.#tables = store.tables
  }

  recall(token: string, stage: StageId, key: string): IdempotencyRecord | undefined {
    const value = this.#tables.outcomes.get(outcomeKey({ token, stage, key }))
    return value && (JSON.parse(value.toString()) as IdempotencyRecord)
  }

  async remember(record: IdempotencyRecord): Promise<void> {
    await this.#store.write(this.rowsOf(record))
  }

  async forget(beforeMs: number, limit: number): Promise<number> {
    const { ages, outcomes, ended } = this.#tables
    const keys = [...ages.getKeys({ end: timeKey(beforeMs), limit })]
    const rows = keys.flatMap((key): readonly Row[] => [
      [ages, key, undefined],
      [key[AGE_BYTES] === OUTCOME ? outcomes : ended, key.subarray(AGE_BYTES + 1), undefined],
    ])
    if (rows.length > 0) await this.#store.write(rows)
    return keys.length
  }

  rowsOf(record: IdempotencyRecord): readonly Row[] {
    const { ages, outcomes } = this.#tables
    const key = outcomeKey(record)
    return [
      [outcomes, key, Buffer.from(JSON.stringify(record))],
      [ages, Buffer.concat([timeKey(record.atMs), Buffer.of(OUTCOME), key]), PRESENT],
    ]
  }
}

/** A hash, for a token's id and a client's key may be of any length. */
function outcomeKey({ token, stage, key }: Pick<IdempotencyRecord, 'token' | 'stage' | 'key'>): Buffer {
  return rawOf(digestOf(canonicalText([token, stage, key])))
}
