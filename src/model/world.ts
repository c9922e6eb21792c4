/**
 * What the depot takes from the world around it: time, chance and a place to write its log. Only `app` gives the
 * real ones; everything else is handed them, so that tests can let time stand still.
 */

export interface Clock {
  /** Milliseconds since 1970, as the wall clock has it; it may jump. */
  now(): number
  /** Milliseconds since some moment; never goes back. */
  monotonic(): number
}

export interface Random {
  /** `count` bytes that nobody can guess. */
  bytes(count: number): Uint8Array
}

/** A structured log line: fields first, then a sentence. The shape of pino. */
export interface Log {
  debug(fields: object, sentence: string): void
  info(fields: object, sentence: string): void
  warn(fields: object, sentence: string): void
  error(fields: object, sentence: string): void
}
