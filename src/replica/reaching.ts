/**
 * A depot that does not answer is the origin to those who follow it: `depot-unreachable` becomes `origin-unreachable`.
 */
import { failure, isFailure } from '../model/errors.ts'

/** What a call gives, or how it failed. */
export async function reaching<Value>(call: () => Promise<Value>): Promise<Value> {
  try {
    return await call()
  } catch (error) {
    throw asUnreachable(error)
  }
}

/** The same for what comes one after the other. */
export async function* reachingAll<Item>(items: AsyncIterable<Item>): AsyncGenerator<Item> {
  try {
    yield* items
  } catch (error) {
    throw asUnreachable(error)
  }
}

export function asUnreachable(error: unknown): unknown {
  if (!isFailure(error, 'depot-unreachable')) return error
  const { url, reason } = error.details
  return failure('origin-unreachable', { reason: `${String(url)}: ${String(reason)}` }, { cause: error })
}
