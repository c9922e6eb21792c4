/**
 * What a command says. With `--json` stdout gets JSON and nothing else: one document, or for a list one document a
 * line. For people it gets text, from which control characters are taken, so that no publisher's words can play with
 * somebody's terminal. What is said beside the result goes to stderr.
 *
 * Lines are written in batches: a catalog has a million of them.
 */
import type { Writable } from 'node:stream'
import { ReaderGone, type Shell } from './shell.ts'

const BATCH_CHARACTERS = 65_536
// oxlint-disable-next-line no-control-regex -- control characters are what it finds
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g

export class Output {
  readonly json: boolean
  readonly #shell: Pick<Shell, 'stdout' | 'stderr'>
  #batch = ''

  constructor(shell: Pick<Shell, 'stdout' | 'stderr'>, json: boolean) {
    this.#shell = shell
    this.json = json
  }

  /** One result: as JSON it is `value`, for people `text`. Fails with `ReaderGone`. */
  async say(value: unknown, text: string): Promise<void> {
    this.#batch += this.json ? `${JSON.stringify(value)}\n` : `${printable(text)}\n`
    if (this.#batch.length >= BATCH_CHARACTERS) await this.flush()
  }

  /** The same for what people want to see at once. */
  async sayNow(value: unknown, text: string): Promise<void> {
    await this.say(value, text)
    await this.flush()
  }

  /** Bytes as they are. */
  async bytes(bytes: Uint8Array): Promise<void> {
    await write(this.#shell.stdout, bytes)
  }

  /** Something worth knowing that is not the result. */
  note(text: string): void {
    this.#shell.stderr.write(`depot: ${printable(text)}\n`)
  }

  async flush(): Promise<void> {
    const batch = this.#batch
    this.#batch = ''
    if (batch !== '') await write(this.#shell.stdout, batch)
  }
}

/** Text that does nothing to a terminal but stand on it. */
export function printable(text: string): string {
  return text.replaceAll(CONTROL, '\ufffd')
}

async function write(stream: Writable, chunk: string | Uint8Array): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stream.write(chunk, (error) => {
      if (error === null || error === undefined) resolve()
      else reject(isGone(error) ? new ReaderGone('nobody reads the output any more') : error)
    })
  })
}

function isGone(error: NodeJS.ErrnoException): boolean {
  return error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED'
}
