/**
 * How a command fails: what is told, and with which exit code. People get `depot: <title>: <detail>`; with `--json`
 * stderr gets the same as a problem document (RFC 9457) on the line after it.
 */
import { CommanderError } from 'commander'
import { ConfigError } from '../app/config.ts'
import { type DepotError, isFailure } from '../model/errors.ts'
import { isGid, partsOf } from '../model/generation.ts'
import { problemType } from '../wire/paths.ts'
import { printable } from './output.ts'
import { EXIT, EXIT_BY_SIGNAL, Interrupted, ReaderGone, type Shell, UsageError } from './shell.ts'

/** What is known of a failure; `members` are its details. */
interface Problem {
  readonly exit: number
  readonly type: string
  readonly title: string
  readonly detail: string
  readonly members?: Readonly<Record<string, unknown>>
}

/** Tells about a failure and answers the exit code. */
export function tellFailure(error: unknown, shell: Pick<Shell, 'stderr' | 'signal'>, json: boolean): number {
  if (error instanceof ReaderGone) return EXIT.done
  if (error instanceof CommanderError && error.exitCode === 0) return EXIT.done
  // Whatever a command fails with after a signal, the signal is why.
  const cause: unknown = shell.signal.aborted ? shell.signal.reason : error
  const { exit, type, title, detail, members } = problemOf(cause)
  shell.stderr.write(`depot: ${printable(`${title}: ${detail}`)}\n`)
  if (json) shell.stderr.write(`${JSON.stringify({ ...members, type, title, detail })}\n`)
  return exit
}

function problemOf(error: unknown): Problem {
  const nameless = { type: 'about:blank' }
  if (isFailure(error)) {
    const { code, title, details } = error
    const detail = `${error.message}${hintFor(error)}`
    return { exit: EXIT.error, type: problemType(code), title, detail, members: details }
  }
  if (error instanceof Interrupted)
    return { ...nameless, exit: EXIT_BY_SIGNAL[error.by], title: 'Interrupted', detail: error.message }
  if (error instanceof ConfigError) {
    const { message, problems } = error
    const title = 'The configuration cannot be used'
    return { ...nameless, exit: EXIT.usage, title, detail: message, members: { problems } }
  }
  if (error instanceof UsageError || error instanceof CommanderError)
    return { ...nameless, exit: EXIT.usage, title: 'Usage', detail: sentenceOf(error) }
  if (error instanceof Error && 'syscall' in error)
    return { ...nameless, exit: EXIT.error, title: 'The system refused', detail: error.message }
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return { ...nameless, exit: EXIT.error, title: 'This is a bug in depot, please report it', detail }
}

/** What somebody can do whose floor the depot does not have (PROTOCOL §13): stop, look, and decide. */
function hintFor({ code, details: { generation, floor } }: DepotError): string {
  if (floor !== true) return ''
  const isLeft = code === 'generation-lost' || code === 'lineage-foreign'
  if (isLeft && isGid(generation))
    return `; to go on there all the same: --accept-lineage ${partsOf(generation).lineage}`
  return code === 'generation-unknown'
    ? '; it is what DEPOT_MIN_GENERATION says, or what was seen here before: if the depot was brought back from a copy, this is lost'
    : ''
}

/** As commander words it, without its own prefix and on one line. */
function sentenceOf(error: Error): string {
  if (error instanceof CommanderError && error.code === 'commander.help') return 'a command is needed'
  return error.message.replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' ')
}
