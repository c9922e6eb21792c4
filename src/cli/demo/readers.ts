/**
 * Readers of the demo, and what they met. A session is what somebody reads to install something: what is newest, then
 * catalog, manifest and files of that. The official client does it, and one that only follows links.
 *
 * Two releases are published together, again and again, and the file of each says its version: so bytes that do not
 * belong together are told from each other without believing any header.
 */
import type { Client } from '../../client/client.ts'
import { type Gid, isGid } from '../../model/generation.ts'
import { fetchKept } from '../../wire/fetch.ts'
import { HEADERS } from '../../wire/headers.ts'
import { catalogPath, filePath, PATHS, pinned } from '../../wire/paths.ts'

/** Released together, in every commit. */
export const PAIR = ['left', 'right'] as const
/** What each of them is. */
export const FILE = 'version.txt'

export interface Met {
  readonly sessions: number
  /** Sessions with bodies of more than one generation. */
  readonly mixed: number
  /** Sessions of an official client on an older generation than the one before. */
  readonly backward: number
  /** GETs that were not answered with 200, and sessions that came to nothing. */
  readonly failed: number
  /** The first things that should not have been. */
  readonly examples: readonly string[]
}

const EXAMPLES = 5

export class DemoReaders {
  readonly #url: string
  readonly #channel: string
  readonly #examples: string[] = []
  #sessions = 0
  #mixed = 0
  #backward = 0
  #failed = 0

  constructor(url: string, channel: string) {
    this.#url = url
    this.#channel = channel
  }

  met(): Met {
    const [sessions, mixed, backward, failed] = [this.#sessions, this.#mixed, this.#backward, this.#failed]
    return { sessions, mixed, backward, failed, examples: this.#examples }
  }

  /** One session after the other, by the SDK. It tries again what failed; here it has failed all the same. */
  async official(signal: AbortSignal): Promise<void> {
    const { connect } = await import('../../client/index.ts')
    const client = connect({
      url: this.#url,
      fetch: async (url, init) => {
        const response = await fetchKept(url, init).catch((error: unknown) => {
          this.#note('failed', `GET ${url.pathname}: ${String(error)}`)
          throw error
        })
        if (response.status !== 200) this.#note('failed', `GET ${url.pathname}: ${response.status}`)
        return response
      },
    })
    let newest = -1
    while (!signal.aborted) {
      this.#sessions += 1
      try {
        const at = await this.#officialSession(client)
        if (at < newest) this.#note('backward', `the head was g${newest}, then g${at}`)
        newest = Math.max(newest, at)
      } catch (error) {
        this.#note('failed', `a session: ${String(error)}`)
      }
    }
  }

  /** The same by following links: what the head is called, and then all below its address. */
  async following(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#sessions += 1
      const head = await this.#get(PATHS.head)
      if (head !== undefined && isGid(head.generation)) await this.#session(head.generation)
    }
  }

  async #officialSession(client: Client): Promise<number> {
    const session = await client.session()
    const newest: Newest = new Map()
    for await (const { name, version } of session.catalog(this.#channel)) take(newest, name, version)
    const texts: string[] = []
    for (const name of PAIR) {
      const version = newest.get(name) ?? ''
      await session.manifest(this.#channel, name, version)
      let text = ''
      for await (const piece of session.file(this.#channel, name, version, FILE))
        text += Buffer.from(piece).toString()
      texts.push(text)
    }
    this.#compare(session.generation.gid, newest, texts)
    return session.generation.record.number
  }

  async #session(gid: Gid): Promise<void> {
    const catalog = await this.#get(pinned(gid, catalogPath(this.#channel)))
    if (catalog === undefined) return
    const newest: Newest = new Map()
    for (const line of catalog.text.trimEnd().split('\n')) {
      const { name, version } = JSON.parse(line) as { readonly name: string; readonly version: string }
      take(newest, name, version)
    }
    const bodies = [catalog]
    for (const name of PAIR) {
      const body = await this.#get(pinned(gid, filePath(this.#channel, name, newest.get(name) ?? '', FILE)))
      if (body === undefined) return
      bodies.push(body)
    }
    const other = bodies.find(({ generation }) => generation !== gid)
    if (other !== undefined) this.#note('mixed', `${gid} with ${other.generation}`)
    else
      this.#compare(
        gid,
        newest,
        bodies.slice(1).map(({ text }) => text),
      )
  }

  /** All of it was published by one commit. */
  #compare(gid: string, newest: Newest, texts: readonly string[]): void {
    const said = new Set([...PAIR.map((name) => newest.get(name) ?? ''), ...texts])
    if (said.size !== 1) this.#note('mixed', `${gid} has ${[...said].join(' and ')}`)
  }

  async #get(path: string): Promise<Body | undefined> {
    try {
      const response = await fetchKept(new URL(this.#url + path), {})
      const text = await response.text()
      if (response.status === 200) return { generation: response.headers.get(HEADERS.generation) ?? '', text }
      this.#note('failed', `GET ${path}: ${response.status}`)
    } catch (error) {
      this.#note('failed', `GET ${path}: ${String(error)}`)
    }
    return undefined
  }

  #note(what: 'mixed' | 'backward' | 'failed', text: string): void {
    if (what === 'mixed') this.#mixed += 1
    else if (what === 'backward') this.#backward += 1
    else this.#failed += 1
    if (this.#examples.length < EXAMPLES) this.#examples.push(`${what}: ${text}`)
  }
}

interface Body {
  readonly generation: string
  readonly text: string
}

/** By name, of those whose versions are told from each other by the first number alone. */
type Newest = Map<string, string>

function take(newest: Newest, name: string, version: string): void {
  if (Number.parseInt(version, 10) > Number.parseInt(newest.get(name) ?? '0', 10)) newest.set(name, version)
}
