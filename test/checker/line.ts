/**
 * What a history is written in: one JSON object a line, in any order. Most are requests (PROTOCOL, "History per
 * request"); the others are what has to be known to judge them: the activation log of the origin, what was in which
 * generation, and when something was done to the nodes.
 *
 * All times are milliseconds of the monotonic clock of this machine, the same in every process.
 */
export type Kind = 'K0' | 'K1' | 'K2' | 'K3' | 'K4' | 'K5' | 'K6' | 'K7'

/** Who asks, and what it knows. */
export interface Asker {
  readonly client: string
  /** Of an official client: all that is to come from one generation (I9). A restart at the head is another one. */
  readonly session?: string
  /** The balancer in between, like `haproxy` or `nginx`; absent when a node is asked directly. */
  readonly through?: string
  /** What the client takes for its floor when it asks, and the lineage it was told to accept since (I12). */
  readonly floor?: string
  readonly accepted?: string
  /** It pins nothing and sends no floor, so its sessions may mix: they are told apart (I9 is not for them). */
  readonly stock?: boolean
}

/** A request and what came of it. What is not there was not there on the wire. */
export interface RequestLine extends Asker {
  readonly what: 'request'
  readonly start: number
  readonly end: number
  /** When the status was here. */
  readonly first?: number
  readonly kind: Kind
  readonly method: string
  /** Path and query, as they were sent. */
  readonly url: string
  readonly min?: string
  readonly exact?: string
  /** With a preview token. */
  readonly preview?: boolean
  readonly ifNoneMatch?: string
  readonly ifRange?: string
  readonly range?: string
  /** Idempotency-Key. */
  readonly key?: string
  /** How long it could be held at most, in milliseconds; absent where nobody holds (I16). */
  readonly budget?: number
  /** How many redirects were followed to come here. */
  readonly hop?: number
  /** Depot-Via of a request that one node sent to another. */
  readonly relayed?: string

  /** Absent when no answer came. */
  readonly status?: number
  /** Depot-Generation, as often as it came. */
  readonly generations?: readonly string[]
  readonly head?: string
  readonly node?: string
  readonly etag?: string
  readonly cacheControl?: string
  readonly encoding?: string
  readonly type?: string
  readonly location?: string
  /** Content-Length, also where no body came. */
  readonly length?: number
  readonly reprDigest?: string
  /** SHA-256 of the body that came, in hex, where it came whole. */
  readonly digest?: string
  /** Of a download in pieces, when this was the last of them: SHA-256 of the whole. */
  readonly whole?: string
  readonly bytes: number
  /** The code of a problem. */
  readonly problem?: string
  /** The generation that a write made. */
  readonly made?: string
  /** Why there is no answer, or no whole one; it begins with `given up` when the client wanted no more. */
  readonly error?: string
}

/** A line of the origin's activation log; they stand in its order. `at`: it was active then at the latest. */
export interface ActiveLine {
  readonly what: 'active'
  readonly gid: string
  readonly at: number
}

export interface LineageLine {
  readonly what: 'lineage'
  readonly id: string
  readonly parent: string | null
  readonly forkAt: number | null
}

/** A tombstone of the origin. `at`: it was not there before. */
export interface RetiredLine {
  readonly what: 'retired'
  readonly gid: string
  readonly at: number
}

/** A name (K3) or a blob (K4), without pin and query, and the generations that have it: `until` has it no more. */
export interface ContentLine {
  readonly what: 'content'
  readonly path: string
  readonly from: string
  readonly until?: string
}

/** What a catalog that was served as this generation lists, as paths without pin. Once a generation is enough. */
export interface ListedLine {
  readonly what: 'listed'
  readonly gid: string
  readonly paths: readonly string[]
}

/**
 * `roll` SIGTERM and restart, `kill` kill -9, `activation`, `origin-down`: while one replica is fresh, no GET may fail
 * in these (I18). `dark`: no replica answers. `unsure`: some do, and none of them can reach the origin, so that none is
 * fresh for certain. `link`: a connection between nodes was cut, and with it what was relayed on it. `stop`, `delay`:
 * SIGSTOP of a node, a slow network. `late`: this machine let a process wait that had something to do (I16). `holds`: the
 * test keeps as many requests waiting as a node allows (I17). `full`, `reload`: the disk of a node, the balancer.
 */
export const TROUBLES = [
  'roll',
  'kill',
  'activation',
  'origin-down',
  'dark',
  'unsure',
  'link',
  'stop',
  'delay',
  'late',
  'holds',
  'full',
  'reload',
] as const
export type Trouble = (typeof TROUBLES)[number]

export interface WindowLine {
  readonly what: 'window'
  readonly trouble: Trouble
  readonly node?: string
  readonly from: number
  readonly to: number
}

export type Line =
  | RequestLine
  | ActiveLine
  | LineageLine
  | RetiredLine
  | ContentLine
  | ListedLine
  | WindowLine

const CONTROL = new Set(['/livez', '/readyz', '/servez', '/metrics', '/problems', '/v1/openapi.json'])
const READING = new Set(['GET', 'HEAD'])
const VERSIONED = /^\/v1\/channels\/[^/]+\/(?:manifests\/[^/]+\/[^/]+|files\/.+)$/
const PART = /^\/v1\/channels\/[^/]+\/manifests\/[^/]+$/

/** The kind of a request, by PROTOCOL §3. */
export function kindOf(method: string, url: string): Kind {
  const [path = ''] = url.split('?')
  if (CONTROL.has(path) || path.startsWith('/problems/')) return 'K0'
  if (path.startsWith('/o/')) return 'K4'
  if (path.startsWith('/g/')) return 'K5'
  if (!READING.has(method)) return 'K7'
  // Of the node and not of a generation: which keys there are has nothing to do with the head.
  if (path === '/v1/keys') return 'K0'
  if (path.startsWith('/v1/stages') || path.startsWith('/v1/tokens')) return 'K6'
  if (VERSIONED.test(path)) return 'K3'
  return PART.test(path) ? 'K2' : 'K1'
}

const PIN = /^\/g\/([^/?]+)(\/[^]*)$/

/** The generation that a URL names, and the rest of it. */
export function splitPin(url: string): { readonly pin: string | undefined; readonly path: string } {
  const [, pin, path] = PIN.exec(url) ?? []
  return { pin, path: path ?? url }
}
