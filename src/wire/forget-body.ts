/**
 * What is left of a body that nobody wants any more.
 *
 * Who closes a connection on which bytes still come takes the answer away with it: the sender is told that the
 * connection is gone, and may never read what stood before that. So the rest is read and forgotten, but no longer and
 * no more than a client needs to notice.
 */
import type { IncomingMessage } from 'node:http'
import { LIMITS } from '../model/limits.ts'

export function forgetBody(body: IncomingMessage): void {
  let left: number = LIMITS.unreadBytes
  const cut = (): void => {
    body.destroy()
  }
  const timer = setTimeout(cut, LIMITS.unreadMs).unref()
  body.on('data', ({ length }: Uint8Array) => {
    left -= length
    if (left < 0) cut()
  })
  body.once('close', () => {
    clearTimeout(timer)
  })
  body.resume()
}
