/** How an act is refused: the code, or the whole failure. What is not a `DepotError` is a bug and is thrown on. */
import { DepotError } from '../../src/model/errors.ts'

export function refusalOf(act: () => unknown): DepotError {
  try {
    act()
  } catch (error) {
    if (error instanceof DepotError) return error
    throw error
  }
  throw new Error('it was not refused')
}

/** The code of the failure, or `accepted`. */
export function outcomeOf(act: () => unknown): string {
  try {
    act()
    return 'accepted'
  } catch (error) {
    if (error instanceof DepotError) return error.code
    throw error
  }
}
