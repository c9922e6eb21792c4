/**
 * How long this machine lets processes wait that have something to do. A request that was held for longer than it may be
 * is excused for as long as that, and not for longer (I16).
 *
 * Of every process Linux tells how long its first thread was ready to run and did not: in Node that is the event loop.
 * The harness looks at its own timer besides, for it does much that keeps it from hearing an answer.
 */
import { readFileSync } from 'node:fs'
import { monotonicMs, type Recorder } from '../checker/recorder.ts'

const TICK_MS = 25
const LATE_MS = 5

export interface Watched {
  readonly name: string
  readonly pid: number
  /** With the workers that it has started. */
  readonly isMaster?: boolean
}

export class Lateness implements Disposable {
  readonly #tell: (name: string, from: number, to: number) => void
  readonly #watched: () => readonly Watched[]
  readonly #timer: NodeJS.Timeout
  readonly #sums = new Map<string, number>()
  /** By thread, nanoseconds for which it has waited in its life. */
  #waited = new Map<number, number>()
  #due = monotonicMs() + TICK_MS

  constructor(recorder: Pick<Recorder, 'add'>, watched: () => readonly Watched[]) {
    this.#watched = watched
    this.#tell = (node, from, to) => {
      this.#sums.set(node, (this.#sums.get(node) ?? 0) + to - from)
      recorder.add({ what: 'window', trouble: 'late', node, from, to })
    }
    this.#timer = setInterval(() => this.#look(), TICK_MS)
  }

  /** Milliseconds, by process. */
  get sums(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#sums].map(([name, ms]) => [name, Math.round(ms)]))
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  #look(): void {
    const now = monotonicMs()
    if (now - this.#due > LATE_MS) this.#tell('harness', this.#due, now)
    const seen = new Map<number, number>()
    for (const { name, pid, isMaster } of this.#watched()) {
      for (const one of isMaster === true ? [pid, ...childrenOf(pid)] : [pid]) {
        const waited = waitedBy(one)
        if (waited === undefined) continue
        const late = (waited - (this.#waited.get(one) ?? waited)) / 1e6
        if (late > LATE_MS) this.#tell(name, now - late, now)
        seen.set(one, waited)
      }
    }
    this.#waited = seen
    this.#due = monotonicMs() + TICK_MS
  }
}

/** Undefined for a process that has ended, and where nobody tells. */
function waitedBy(pid: number): number | undefined {
  const text = textOf(`/proc/${pid}/task/${pid}/schedstat`)
  return text === undefined ? undefined : Number(text.split(' ')[1])
}

function childrenOf(pid: number): readonly number[] {
  const text = textOf(`/proc/${pid}/task/${pid}/children`) ?? ''
  return text.split(' ').filter(Boolean).map(Number)
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (['ENOENT', 'ESRCH', 'EACCES'].includes(code)) return undefined
    throw error
  }
}
