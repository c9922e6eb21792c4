/**
 * Which resource a request asks for, where it names it as a proxy would be asked (RFC 9112 §3.2.2).
 */
import type { IncomingMessage } from 'node:http'

const ABSOLUTE = /^https?:\/\/[^/?#]+/i

/** Takes the address away, so that nobody behind this node is asked for somebody else's, and a pin is seen as one. */
export function takeOriginForm(request: IncomingMessage): void {
  const { url = '/' } = request
  if (url.startsWith('/')) return
  const path = url.replace(ABSOLUTE, '')
  request.url = path.startsWith('?') || path === '' ? `/${path}` : path
}
