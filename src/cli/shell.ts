/**
 * What a command is given of the process it runs in. `main.ts` makes the real one; nothing else in the CLI touches
 * the process, reads the environment or knows the time.
 */
import type { Writable } from 'node:stream'
import type { Clock } from '../model/world.ts'

export interface Shell {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The working folder. */
  readonly folder: string
  readonly stdout: Writable
  readonly stderr: Writable & { readonly isTTY?: boolean }
  readonly clock: Clock
  /** Of Node, like `24.21.0`. */
  readonly nodeVersion: string
  /** Fires at SIGINT and SIGTERM, with an `Interrupted` as its reason. */
  readonly signal: AbortSignal
  /** Says what the process exits with when the command ends well and that is not 0. */
  leave(code: number): void
}

/** What an exit code tells (DESIGN §8). */
export const EXIT = {
  done: 0,
  error: 1,
  usage: 2,
  partlyDone: 3,
  nothingToDo: 4,
  differences: 10,
} as const

export type StopSignal = 'SIGINT' | 'SIGTERM'

/** By convention of all shells: 128 and the number of the signal. */
export const EXIT_BY_SIGNAL: Readonly<Record<StopSignal, number>> = { SIGINT: 130, SIGTERM: 143 }

/** Somebody wants the command to end. */
export class Interrupted extends Error {
  readonly by: StopSignal

  constructor(by: StopSignal) {
    super(`stopped by ${by}`)
    this.name = 'Interrupted'
    this.by = by
  }
}

/** The words on the command line make no sense: exit code 2. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError'
}

/** Whoever read our output has gone, as `head` does: no failure. */
export class ReaderGone extends Error {
  override readonly name: string = 'ReaderGone'
}
