/**
 * A value, or the promise of one. What is at hand is used at once: every `await` costs a turn through the microtasks,
 * and a read of something hot would pay for five of them more than for the reading.
 */

export type Soon<Value> = Value | Promise<Value>

/** What comes of a value, now if the value is there. */
export function after<Value, Result>(value: Soon<Value>, next: (value: Value) => Soon<Result>): Soon<Result> {
  // oxlint-disable-next-line promise/no-callback-in-promise -- `next` is what comes next, and no callback
  return value instanceof Promise ? value.then(next) : next(value)
}
