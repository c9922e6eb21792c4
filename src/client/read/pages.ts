/**
 * A list that comes in pages: every page names the path of the next one.
 */
import { failure } from '../../model/errors.ts'
import type { Caller } from '../../wire/caller.ts'
import type { Answer } from '../../wire/caller-answer.ts'

export interface Page<Item> {
  readonly items: readonly Item[]
  readonly next?: string
}

/** Reads one page. Fails when the answer is of something else. */
export type PageReader<Item> = (answer: Answer) => Promise<Page<Item>>

/** The items of the first page, and of those behind it. Fails with `answer-invalid` for pages that would never end. */
export async function* readPages<Item>(
  caller: Pick<Caller, 'url' | 'read'>,
  first: Page<Item>,
  read: PageReader<Item>,
  signal?: AbortSignal,
): AsyncGenerator<Item> {
  for (let page = first; ; ) {
    const { items, next } = page
    yield* items
    if (next === undefined) return
    if (items.length === 0 || !next.startsWith('/'))
      throw failure('answer-invalid', { url: caller.url, reason: 'a page whose next one makes no sense' })
    page = await caller.read({ path: next }, read, signal)
  }
}
