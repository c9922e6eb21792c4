/**
 * Newline-delimited JSON as it comes from a connection: chunks that end anywhere, in the middle of a character too.
 *
 * Every line ends with a newline, the last one as well, so a body that was cut off is told from one that is whole.
 * A line has a bound, and nothing but the line that is being read is kept.
 */
import { failure } from '../model/errors.ts'

const NEWLINE = 0x0a

/** What reads one line: gives its value, or undefined when the JSON is not of the expected form. */
export type LineReader<Line> = (value: unknown) => Line | undefined

export interface LineBounds {
  /** Where the lines come from, for a failure's text. */
  readonly url: string
  readonly lineBytes: number
}

/** Fails with `answer-invalid` for a line that is too long, cut off, not JSON, or that `read` does not know. */
export async function* readLines<Line>(
  chunks: AsyncIterable<Uint8Array>,
  read: LineReader<Line>,
  { url, lineBytes }: LineBounds,
): AsyncGenerator<Line> {
  let count = 0
  for await (const line of splitLines(chunks, { url, lineBytes })) {
    count += 1
    const value = read(jsonOf(line))
    if (value === undefined)
      throw failure('answer-invalid', { url, reason: `a line ${count} that makes no sense` })
    yield value
  }
}

async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
  { url, lineBytes }: LineBounds,
): AsyncGenerator<string> {
  const tooLong = failure('answer-invalid', { url, reason: `a line of more than ${lineBytes} bytes` })
  let parts: Buffer[] = []
  let held = 0
  for await (const piece of chunks) {
    const chunk = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      if (held + end - start > lineBytes) throw tooLong
      const rest = chunk.subarray(start, end)
      yield (held === 0 ? rest : Buffer.concat([...parts, rest])).toString()
      parts = []
      held = 0
      start = end + 1
    }
    if (start === chunk.length) continue
    parts.push(chunk.subarray(start))
    held += chunk.length - start
    if (held > lineBytes) throw tooLong
  }
  if (held > 0) throw failure('answer-invalid', { url, reason: 'a body that ends in the middle of a line' })
}

/** Undefined, which is no value of JSON, when the text is none. */
function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
