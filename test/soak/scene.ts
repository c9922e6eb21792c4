/**
 * What all clients of a soak share: who answers, who writes it down, and what was published last; and how any of them
 * asks, goes on with what was cut off, and follows a redirect.
 */
import type { Hash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Asker } from '../checker/line.ts'
import { type Heard, piecesHash, type RecordedAsk, type Recorder } from '../checker/recorder.ts'
import type { Chance } from '../fuzz/chance.ts'
import type { Program } from '../story/balancer.ts'

export interface Door {
  readonly name: Program
  readonly url: string
}

export interface PublishedFile {
  readonly path: string
  readonly digest: string
  readonly size: number
}

export interface Published {
  readonly channel: string
  readonly name: string
  readonly version: string
  readonly files: readonly PublishedFile[]
}

/** What publishers were told, for those who read. */
export class Board {
  /** Every release that was ever staged, by its path without pin. */
  readonly releases: Map<string, Published> = new Map<string, Published>()
  /** When somebody was told that a generation is active. */
  readonly seenAt: Map<string, number> = new Map<string, number>()
  readonly #recent: Published[] = []
  #latest: string | undefined

  /** The newest generation that a publisher was told of. */
  get latest(): string | undefined {
    return this.#latest
  }

  /** What was published last, newest last. */
  get recent(): readonly Published[] {
    return this.#recent
  }

  tell(gid: string, at: number, releases: readonly Published[]): void {
    if (!this.seenAt.has(gid)) this.seenAt.set(gid, at)
    if (numberOf(gid) > numberOf(this.#latest)) this.#latest = gid
    this.#recent.push(...releases)
    this.#recent.splice(0, this.#recent.length - RECENT)
  }
}

const RECENT = 30

export interface Scene {
  readonly recorder: Recorder
  readonly doors: readonly Door[]
  /** Replicas themselves, for who asks them without a balancer. */
  readonly replicas: readonly string[]
  readonly channels: readonly string[]
  readonly board: Board
  readonly over: AbortSignal
  /** What an official client or a publisher could not do, with the time it took: judged beside the history. */
  readonly mishaps: Mishap[]
  /** Between two requests of one client, in milliseconds. */
  readonly pauseMs: number
}

export interface Mishap {
  readonly who: string
  readonly what: string
  readonly isWrite: boolean
  readonly from: number
  readonly to: number
}

export function numberOf(gid: string | undefined): number {
  return Number(/^g(\d+)\./.exec(gid ?? '')?.[1] ?? -1)
}

/** A pause that ends when the soak does. */
export async function pause({ over, pauseMs }: Scene, chance: Chance): Promise<void> {
  await sleep(pauseMs * (0.5 + chance.next()), undefined, { signal: over }).catch(() => undefined)
}

/** Asks, and follows one redirect, as every client may. */
export async function ask(
  { recorder }: Scene,
  asker: Asker,
  at: { readonly origin: string; readonly path: string },
  wish: RecordedAsk = {},
): Promise<Heard> {
  const heard = await recorder.ask(asker, at.origin, at.path, wish)
  const location = heard.answer?.header('location')
  const { status = 0 } = heard.line
  if (location === undefined || (status !== 307 && status !== 308)) return heard
  const to = new URL(location, at.origin)
  // It leads past the balancer, to a node.
  const { through: _through, ...direct } = asker
  const next = to.origin === at.origin ? asker : direct
  return await recorder.ask(next, to.origin, to.pathname + to.search, { ...wish, hop: 1 })
}

const TRIES = 6
const AGAIN_MS = 300

/**
 * The whole of it, however often it was cut off: what has a digest is gone on with by Range, elsewhere; a catalog is
 * taken anew. Undefined when it is refused. `until` breaks off the first try after so many bytes.
 */
export async function readWhole(
  scene: Scene,
  asker: Asker,
  at: { readonly door: () => Door; readonly path: string; readonly until?: number },
): Promise<Buffer | undefined> {
  const got: Buffer[] = []
  let pieces = piecesHash()
  let etag: string | undefined
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const door = at.door()
    const have = got.reduce((sum, { length }) => sum + length, 0)
    const { answer, line } = await ask(
      scene,
      { ...asker, through: door.name },
      { origin: door.url, path: at.path },
      wishFor({ have, etag, pieces, until: attempt === 0 ? at.until : undefined }),
    )
    if (answer === undefined || !(line.status === 200 || line.status === 206)) return undefined
    if (line.status === 200) {
      got.length = 0
      if (have > 0) pieces = piecesHash().update(answer.body)
    }
    got.push(answer.body)
    if (line.error === undefined) return Buffer.concat(got)
    etag = line.etag
    if (at.path.endsWith('/catalog')) {
      got.length = 0
      pieces = piecesHash()
    }
    if (!line.error.startsWith('given up')) await sleep(AGAIN_MS)
  }
  return undefined
}

function wishFor(state: {
  readonly have: number
  readonly etag: string | undefined
  readonly pieces: Hash
  readonly until: number | undefined
}): RecordedAsk {
  const { have, etag, pieces, until } = state
  const range = have === 0 ? {} : { range: `bytes=${have}-`, 'if-range': etag ?? '""' }
  return { headers: range, pieces, ...(until === undefined ? {} : { until }) }
}

export interface Entry {
  readonly name: string
  readonly version: string
}

/** Some entries of a catalog, more often of those that were published last. */
export function entriesOf(
  catalog: Buffer,
  { board }: Scene,
  chance: Chance,
  count: number,
): readonly Entry[] {
  const lines = catalog.toString().split('\n')
  lines.pop()
  if (lines.length === 0) return []
  const recent = new Set(board.recent.map(({ name, version }) => `"name":"${name}","version":"${version}"`))
  const news = chance.once(2) ? lines.filter((line) => [...recent].some((text) => line.includes(text))) : []
  const from = news.length > 0 ? news : lines
  return Array.from({ length: count }, () => JSON.parse(chance.pick(from)) as Entry)
}
