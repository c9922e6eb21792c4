/**
 * The front door of the CLI, and the only part of it that touches the process: its environment, streams, signals and
 * exit code.
 *
 * The first SIGINT or SIGTERM asks the command to end, and it cleans up; the second one ends the process at once.
 */
/* oxlint-disable no-restricted-globals -- the CLI's front door */
import { readFileSync } from 'node:fs'
import { runProgram } from './program.ts'
import { EXIT_BY_SIGNAL, Interrupted, type StopSignal } from './shell.ts'

const stop = new AbortController()

for (const name of Object.keys(EXIT_BY_SIGNAL) as StopSignal[]) {
  process.on(name, () => {
    if (stop.signal.aborted) process.exit(EXIT_BY_SIGNAL[name])
    stop.abort(new Interrupted(name))
  })
}

// A reader who has gone (`depot catalog unstable | head`) fails the write that it concerns, and nothing else.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)

process.exitCode = await runProgram(process.argv.slice(2), versionOfDepot(), {
  environment: process.env,
  folder: process.cwd(),
  stdout: process.stdout,
  stderr: process.stderr,
  clock: { now: () => Date.now(), monotonic: () => performance.now() },
  nodeVersion: process.versions.node,
  signal: stop.signal,
  leave: () => undefined,
})

/** From package.json, which lies above `src/` and above `dist/src/`. */
function versionOfDepot(): string {
  for (const path of ['../../package.json', '../../../package.json']) {
    try {
      const text = readFileSync(new URL(path, import.meta.url), 'utf8')
      return (JSON.parse(text) as { version: string }).version
    } catch {
      // Try the next one.
    }
  }
  return 'unknown'
}
