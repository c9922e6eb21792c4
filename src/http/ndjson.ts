/**
 * Values as lines of canonical JSON, gathered into pieces worth a write, in slices that leave the event loop its turn.
 */
import { canonicalText, type Json } from '../model/canonical.ts'
import { slices } from '../model/slice.ts'
import type { Clock } from '../model/world.ts'

const PIECE_CHARACTERS = 65_536

/** `pieceCharacters` of 1 sends every line at once, for progress. */
export async function* ndjson(
  values: AsyncIterable<object>,
  clock: Clock,
  pieceCharacters: number = PIECE_CHARACTERS,
): AsyncGenerator<Uint8Array> {
  const pace = slices(clock)
  let text = ''
  for await (const value of values) {
    text += `${canonicalText(value as Json)}\n`
    const turn = pace.breathe()
    if (turn !== undefined) await turn
    if (text.length < pieceCharacters) continue
    yield Buffer.from(text)
    text = ''
  }
  if (text !== '') yield Buffer.from(text)
}
