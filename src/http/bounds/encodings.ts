/**
 * How a body may come: chunked or with its length, and not encoded. Bytes that a sender has packed would be taken for
 * the bytes themselves.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { failure } from '../../model/errors.ts'

const CHUNKED = /^\s*chunked\s*$/i
const PLAIN = /^\s*(?:identity\s*)?$/i
const SHOWN = 100

/**
 * Fails with `unsupported-transfer-encoding` (RFC 9112 §6.1), and with `unsupported-content-encoding` (RFC 9110 §8.4)
 * where a body comes.
 */
export function demandPlainBody(headers: IncomingHttpHeaders): void {
  const transfer = headers['transfer-encoding']
  if (transfer !== undefined && !CHUNKED.test(transfer))
    throw failure('unsupported-transfer-encoding', { encoding: transfer.slice(0, SHOWN) })
  const content = headers['content-encoding']
  if (content === undefined || PLAIN.test(content)) return
  if (transfer !== undefined || Number(headers['content-length'] ?? 0) > 0)
    throw failure('unsupported-content-encoding', { encoding: content.slice(0, SHOWN) })
}
