/**
 * Files whose power can be cut before any step: that one fails, and everything after it, as for a process that died.
 */
import { type Files, nodeFiles, type OpenFile } from '../../src/disk/durable.ts'

export class PowerCut extends Error {}

export class CuttableFiles implements Files {
  readonly #files: Files
  #stepsLeft = Number.POSITIVE_INFINITY
  /** What was done since the last `cutBefore`. */
  readonly steps: string[] = []

  constructor(files: Files = nodeFiles) {
    this.#files = files
  }

  /** The next step is number 1. */
  cutBefore(step: number): void {
    this.#stepsLeft = step - 1
    this.steps.length = 0
  }

  async open(path: string, how: 'new' | 'old' | 'folder'): Promise<OpenFile> {
    const file = await this.#step(`open ${how}`, async () => await this.#files.open(path, how))
    return {
      write: async (bytes, position) =>
        await this.#step('write', async () => await file.write(bytes, position)),
      sync: async () =>
        await this.#step(how === 'folder' ? 'sync folder' : 'sync', async () => await file.sync()),
      // A dead process keeps nothing open; this one would.
      close: async () => await file.close(),
    }
  }

  async link(from: string, to: string): Promise<void> {
    await this.#step('link', async () => await this.#files.link(from, to))
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#step('rename', async () => await this.#files.rename(from, to))
  }

  async unlink(path: string): Promise<void> {
    await this.#step('unlink', async () => await this.#files.unlink(path))
  }

  async mkdir(path: string): Promise<void> {
    await this.#step('mkdir', async () => await this.#files.mkdir(path))
  }

  async #step<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    if (this.#stepsLeft === 0) throw new PowerCut(`the power went before "${name}"`)
    this.#stepsLeft -= 1
    this.steps.push(name)
    return await work()
  }
}
