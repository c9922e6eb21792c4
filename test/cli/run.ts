/**
 * Runs the CLI: as a real process, or as the same program in this one where only what it says and does matters.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { resolve } from 'node:path'
import { Writable } from 'node:stream'
import { runProgram } from '../../src/cli/program.ts'
import type { Shell } from '../../src/cli/shell.ts'

export const BIN: string = resolve(import.meta.dirname, '../../src/cli/depot.mjs')

export interface Ran {
  readonly exit: number
  readonly stdout: string
  readonly stderr: string
}

export interface Surroundings {
  readonly environment?: Readonly<Record<string, string>>
  readonly folder?: string
  /** Arguments for Node itself. */
  readonly node?: readonly string[]
}

/** What a test is never told by the environment it runs in. */
const FOLDER = tmpdir()

export async function runProcess(words: readonly string[], surroundings: Surroundings = {}): Promise<Ran> {
  const child = startProcess(words, surroundings)
  const [[exit], stdout, stderr] = await Promise.all([
    once(child, 'close') as Promise<[number]>,
    textOf(child.stdout),
    textOf(child.stderr),
  ])
  return { exit, stdout, stderr }
}

export function startProcess(
  words: readonly string[],
  { environment = {}, folder = FOLDER, node = [] }: Surroundings = {},
): ReturnType<typeof spawn> {
  return spawn(process.execPath, [...node, BIN, ...words], {
    cwd: folder,
    env: { PATH: process.env['PATH'], ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

export async function run(words: readonly string[], surroundings: Surroundings = {}): Promise<Ran> {
  const stdout = new Collected()
  const stderr = new Collected()
  const shell: Shell = {
    environment: surroundings.environment ?? {},
    folder: surroundings.folder ?? FOLDER,
    stdout,
    stderr,
    clock: { now: () => Date.parse('2026-11-22T04:22:08.000Z'), monotonic: () => performance.now() },
    nodeVersion: process.versions.node,
    signal: new AbortController().signal,
    leave: () => undefined,
  }
  const exit = await runProgram(words, '1.2.3', shell)
  return { exit, stdout: stdout.text, stderr: stderr.text }
}

/** Every line as JSON: fails when there is anything else. */
export function linesOf(text: string): unknown[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown)
}

export async function textOf(stream: NodeJS.ReadableStream | null): Promise<string> {
  let text = ''
  for await (const chunk of stream ?? []) text += String(chunk)
  return text
}

class Collected extends Writable {
  text = ''

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
}
