/**
 * A generation for tests that need no depot: a record with everything in it, under its own id.
 */
import { digestOf } from '../../src/model/digest.ts'
import { type Generation, type GenerationState, gidOf, type LineageId } from '../../src/model/generation.ts'

export function generation(
  number: number,
  lineage: LineageId,
  state: GenerationState = 'active',
): Generation {
  const record = {
    v: 1,
    number,
    lineage,
    parent: null,
    parentDigest: null,
    metaset: digestOf(`${number}`),
    created: '2026-11-22T04:22:08.000Z',
    publisher: 'token-1',
    message: '',
  } as const
  return { gid: gidOf(record), record, state, signatures: [] }
}
