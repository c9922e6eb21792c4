/**
 * Where a client is sent that this node cannot answer: to another one that has it (PROTOCOL §6).
 */
import type { Elsewhere } from '../http/gate/gate.ts'
import type { Random } from '../model/world.ts'
import { HEADERS } from '../wire/headers.ts'
import { SENT_ON } from '../wire/paths.ts'

type Asked = Parameters<Elsewhere>[0]

/** The same request at another node, unless it was sent here by one. */
export function elsewhereOf(request: Asked, ready: readonly string[], random: Random): string | undefined {
  const { url } = request
  const peers = peersFor(request, ready)
  const mark = url.indexOf('?')
  const path = mark === -1 ? url : url.slice(0, mark)
  const query = mark === -1 ? '' : url.slice(mark + 1)
  if (peers.length === 0 || new URLSearchParams(query).has(SENT_ON)) return undefined
  const [chance = 0] = random.bytes(1)
  const peer = peers[chance % peers.length] ?? ''
  return `${peer.replace(/\/+$/, '')}${path}?${query === '' ? '' : `${query}&`}${SENT_ON}=1`
}

/** A secret is sent on to the address alone that it was sent to: clients drop it at another one, or should. */
function peersFor({ headers, protocol, host }: Asked, peers: readonly string[]): readonly string[] {
  if (headers.authorization === undefined && headers[HEADERS.preview] === undefined) return peers
  const here = URL.parse(`${protocol}://${host}`)?.origin
  return peers.filter((peer) => URL.parse(peer)?.origin === here)
}
