/**
 * The values of the parts below that a face gets to see, so that it knows the engine and nothing under it.
 */
export type { Stage, Token } from '../ledger/ledger.ts'
export type { Release } from '../metaset/release.ts'
export type { Blob, Pool } from '../pool/pool.ts'
