/**
 * `fetch`, with every request written down: so the official client records itself.
 */
import type { Fetch } from '../../src/client/index.ts'
import { fetchKept } from '../../src/wire/fetch.ts'
import { Hearing } from './hearing.ts'
import type { Asker, RequestLine } from './line.ts'

export function fetchRecorded(
  asker: (url: URL) => Asker,
  add: (line: RequestLine) => void,
  now: () => number,
): Fetch {
  return async (url, init) => {
    const method = init.method ?? 'GET'
    const headers = Object.fromEntries(new Headers(init.headers).entries())
    const hearing = new Hearing(asker(url), { method, url: url.pathname + url.search, headers }, now)
    let isOver = false
    const end = (error?: string): void => {
      // A body that is left while a piece of it is under way ends twice.
      if (isOver) return
      isOver = true
      hearing.end(error)
      // `fetch` has decoded the body, so its bytes are not those that were sent.
      if (hearing.line().encoding !== undefined) hearing.note({ digest: undefined })
      add(hearing.line())
    }
    let response: Response
    try {
      response = await fetchKept(url, init)
    } catch (error) {
      end(reasonIn(init, reasonOf(error)))
      throw error
    }
    hearing.begin(response.status, [...response.headers.entries()].flat())
    if (response.body === null) {
      end()
      return response
    }
    return new Response(
      listened(response.body, hearing, (error) => end(error && reasonIn(init, error))),
      response,
    )
  }
}

/** The same bytes; it tells the end, whichever it is. */
function listened(
  body: ReadableStream<Uint8Array>,
  hearing: Hearing,
  end: (error?: string) => void,
): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  let isLeft = false
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read()
        // Who has left wants no more of it, also of what was under way.
        if (isLeft) return
        if (done) {
          end()
          controller.close()
        } else {
          hearing.take(value)
          controller.enqueue(value)
        }
      } catch (error) {
        if (isLeft) return
        end(reasonOf(error))
        controller.error(error)
      }
    },
    async cancel(reason) {
      isLeft = true
      end('given up')
      await reader.cancel(reason)
    },
  })
}

/** Who has given up is told of it as of a failure. */
function reasonIn({ signal }: RequestInit, reason: string): string {
  return signal?.aborted === true ? 'given up' : reason
}

function reasonOf(error: unknown): string {
  const { message, cause } = error as Error
  return cause instanceof Error ? `${message}: ${cause.message}` : message
}
