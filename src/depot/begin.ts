/**
 * The first moment of a depot: generation 0 of a new lineage, an empty metaset with a salt that nobody can guess.
 */
import type { Ledger } from '../ledger/ledger.ts'
import { parseSalt } from '../metaset/boundary.ts'
import { emptyMetaset, encodeMetaset } from '../metaset/metaset.ts'
import {
  encodeRecord,
  type Generation,
  type GenerationRecord,
  gidOf,
  lineageOf,
} from '../model/generation.ts'
import { instantOf } from '../model/instant.ts'
import type { Clock, Random } from '../model/world.ts'
import type { Pool } from '../pool/pool.ts'

export interface BeginParts {
  readonly ledger: Pick<Ledger, 'generations'>
  readonly pool: Pick<Pool, 'put'>
  readonly clock: Clock
  readonly random: Random
}

const LINEAGE_BYTES = 12
const SALT_BYTES = 16

/** The head; of a depot that has none yet, its generation 0. */
export async function begin({ ledger, pool, clock, random }: BeginParts): Promise<Generation> {
  const head = ledger.generations.head()
  if (head !== undefined) return head
  const salt = Buffer.from(random.bytes(SALT_BYTES)).toString('hex')
  const { digest } = await pool.put(encodeMetaset(emptyMetaset(parseSalt(salt))))
  const lineage = lineageOf(random.bytes(LINEAGE_BYTES))
  const record: GenerationRecord = {
    v: 1,
    number: 0,
    lineage,
    parent: null,
    parentDigest: null,
    metaset: digest,
    created: instantOf(clock.now()),
    publisher: 'depot',
    message: 'the empty depot',
  }
  const bytes = encodeRecord(record)
  return await ledger.generations.flip({
    expected: null,
    gid: gidOf(record, bytes),
    record,
    bytes,
    lineage: { id: lineage, parent: null, forkAt: null, reason: 'init' },
  })
}
