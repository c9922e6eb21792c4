/**
 * How the depot fails: a `DepotError` carries one code of the closed table in `failures.ts`.
 *
 * HTTP status codes are not known here: `http/problem.ts` maps every code, and a code without a status does not
 * compile. A failure of operation is a `DepotError`, handled or returned, never logged and passed over. A bug is an
 * `assert`: it answers 500 and is logged once.
 */
import { type ErrorCode, FAILURES, type FailureDetails } from './failures.ts'

/** A failure of operation: what went wrong, in a form that programs and people can both read. */
export class DepotError extends Error {
  readonly code: ErrorCode
  readonly title: string
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, details: Readonly<Record<string, unknown>>, options?: ErrorOptions) {
    const { title, detail } = FAILURES[code]
    super((detail as (details: unknown) => string)(details), options)
    this.name = 'DepotError'
    this.code = code
    this.title = title
    this.details = details
  }
}

/** The one way to make a `DepotError`: the details are checked against the code. */
export function failure<Code extends ErrorCode>(
  code: Code,
  details: FailureDetails[Code],
  options?: ErrorOptions,
): DepotError {
  return new DepotError(code, details as Readonly<Record<string, unknown>>, options)
}

export function isFailure(error: unknown, code?: ErrorCode): error is DepotError {
  return error instanceof DepotError && (code === undefined || error.code === code)
}

/** All codes, for the pages under `/problems/` and for tests that visit every one. */
export function errorCodes(): readonly ErrorCode[] {
  return Object.keys(FAILURES) as ErrorCode[]
}

/** The title of a code, for a page that explains it without a case at hand. */
export function titleOf(code: ErrorCode): string {
  return FAILURES[code].title
}
