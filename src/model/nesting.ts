/**
 * How deep JSON text is nested, counted on the bytes before anything is parsed.
 *
 * `JSON.parse` keeps some forty bytes for every bracket that is open: 64 MiB of `[` took 2.7 GB and 7 s until they were
 * refused. And what is nested thousands deep overflows the stack of whoever prints it.
 */

const QUOTE = 0x22
const BACKSLASH = 0x5c
/** `[` and `]`, `{` and `}` differ from each other in this bit alone. */
const BRACE = 0x20
const OPEN = 0x5b
const CLOSE = 0x5d

/** Whether lists and objects stand more than `maximum` deep in each other. Says nothing of what is not JSON. */
export function nestsDeeper(text: Uint8Array, maximum: number): boolean {
  let depth = 0
  for (let at = 0; at < text.length; at += 1) {
    const byte = text[at] ?? 0
    if (byte === QUOTE) at = endOfString(text, at)
    else if ((byte & ~BRACE) === OPEN) depth += 1
    else if ((byte & ~BRACE) === CLOSE) depth -= 1
    if (depth > maximum) return true
  }
  return false
}

/** Where the string that begins at `start` ends. */
function endOfString(text: Uint8Array, start: number): number {
  let at = start + 1
  while (at < text.length && text[at] !== QUOTE) at += text[at] === BACKSLASH ? 2 : 1
  return at
}
