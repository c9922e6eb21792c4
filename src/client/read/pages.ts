/**
 * A list that comes in pages: every page names the path of the next one.
 */
import type { Caller } from '../../wire/caller.ts'
import type { Answer } from '../../wire/caller-answer.ts'

export interface Page<Item> {
  readonly items: readonly Item[]
  readonly next?: string
}

export interface PageReader<Item> {
  read(answer: Answer): Promise<Page<Item>>
  /** Sees every answer but the first. */
  check?(answer: Answer): void
}

/** Fails with `answer-invalid` for pages that would never end. */
export async function* readPages<Item>(
  caller: Pick<Caller, 'call'>,
  first: Answer,
  reader: PageReader<Item>,
  signal?: AbortSignal,
): AsyncGenerator<Item> {
  for (let answer = first; ; ) {
    const { items, next } = await reader.read(answer)
    yield* items
    if (next === undefined) return
    if (items.length === 0 || !next.startsWith('/'))
      throw answer.invalid('a page whose next one makes no sense')
    answer = await caller.call({ path: next }, signal)
    reader.check?.(answer)
  }
}
