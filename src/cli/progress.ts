/**
 * A progress bar on stderr while long work goes on, if somebody is there to see it: else it is nothing at all.
 */
import { SingleBar } from 'cli-progress'
import type { Progress } from '../client/client.ts'
import type { Shell } from './shell.ts'
import { sizeText } from './wording.ts'

export interface Bar {
  readonly update: (progress: Progress) => void
  /** Takes the bar off the screen. */
  readonly stop: () => void
}

const NO_BAR: Bar = { update: () => undefined, stop: () => undefined }

export function progressBar(shell: Pick<Shell, 'stderr'>, title: string, unit: 'bytes' | 'things'): Bar {
  if (shell.stderr.isTTY !== true) return NO_BAR
  const bar = new SingleBar({
    stream: shell.stderr,
    format: `${title} {bar} {percentage} %  {done} of {all}`,
    clearOnComplete: true,
    barsize: 30,
    // The bar would end the process itself at SIGINT; main.ts sees to that.
    gracefulExit: false,
  })
  const show = unit === 'bytes' ? sizeText : String
  bar.start(1, 0, { done: show(0), all: show(0) })
  return {
    update({ done, total }) {
      bar.setTotal(total)
      bar.update(done, { done: show(done), all: show(total) })
    },
    stop: () => bar.stop(),
  }
}

/** Runs work with a bar that is gone when the work has ended, however it ended. */
export async function withBar<Result>(bar: Bar, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } finally {
    bar.stop()
  }
}
