/**
 * The `fetch` of Node, with every request written down: so the official client records itself.
 */
import type { Fetch } from '../../src/client/index.ts'
import { Hearing } from './hearing.ts'
import type { Asker, RequestLine } from './line.ts'

export function fetchRecorded(
  asker: () => Asker,
  add: (line: RequestLine) => void,
  now: () => number,
): Fetch {
  return async (url, init) => {
    const method = init.method ?? 'GET'
    const headers = Object.fromEntries(new Headers(init.headers).entries())
    const hearing = new Hearing(asker(), { method, url: url.pathname + url.search, headers }, now)
    const end = (error?: string): void => {
      hearing.end(error)
      // `fetch` has decoded the body, so its bytes are not those that were sent.
      if (hearing.line().encoding !== undefined) hearing.note({ digest: undefined })
      add(hearing.line())
    }
    let response: Response
    try {
      response = await fetch(url, init)
    } catch (error) {
      end(init.signal?.aborted === true ? 'given up' : reasonOf(error))
      throw error
    }
    hearing.begin(response.status, [...response.headers.entries()].flat())
    if (response.body === null) {
      end()
      return response
    }
    return new Response(listened(response.body, hearing, end), response)
  }
}

/** The same bytes; it tells the end, whichever it is. */
function listened(
  body: ReadableStream<Uint8Array>,
  hearing: Hearing,
  end: (error?: string) => void,
): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read()
        if (done) {
          end()
          controller.close()
        } else {
          hearing.take(value)
          controller.enqueue(value)
        }
      } catch (error) {
        end(reasonOf(error))
        controller.error(error)
      }
    },
    async cancel(reason) {
      end('given up')
      await reader.cancel(reason)
    },
  })
}

function reasonOf(error: unknown): string {
  const { message, cause } = error as Error
  return cause instanceof Error ? `${message}: ${cause.message}` : message
}
