/**
 * Between commander and a command: what commander hands over loosely becomes typed arguments, and whatever the command
 * said is written out before it ends.
 */
import type { JsonOption } from './options.ts'
import { Output } from './output.ts'
import type { Shell } from './shell.ts'

/** What commander calls: with the arguments, then the options, then the command itself. */
type Action = (...given: unknown[]) => Promise<void>

export function doing<Options extends JsonOption, Words extends unknown[]>(
  shell: Pick<Shell, 'stdout' | 'stderr'>,
  work: (output: Output, options: Options, ...words: Words) => Promise<void>,
): Action {
  return async (...given) => {
    const options = given.at(-2) as Options
    const words = given.slice(0, -2) as Words
    const output = new Output(shell, options.json === true)
    try {
      await work(output, options, ...words)
    } catch (error) {
      // The failure is what counts, whether or not the last lines found a reader.
      await output.flush().catch(() => undefined)
      throw error
    }
    await output.flush()
  }
}
