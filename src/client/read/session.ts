/**
 * Reading one generation (PROTOCOL §13): every URL is pinned, so whichever node answers, nothing is ever mixed.
 *
 * A session of the head whose generation is retired under it starts again at the head, at most twice, and only as
 * long as it has handed nothing on: after that, what came and what would come were two generations.
 */
import { failure, isFailure } from '../../model/errors.ts'
import type { Generation, Gid } from '../../model/generation.ts'
import type { Manifest, ManifestFile } from '../../model/manifest.ts'
import type { Random } from '../../model/world.ts'
import type { ChannelBody, DiffLine, ReleaseBody } from '../../wire/bodies.ts'
import type { Caller } from '../../wire/caller.ts'
import type { Answer } from '../../wire/caller-answer.ts'
import { download } from '../../wire/caller-download.ts'
import { readLines } from '../../wire/ndjson.ts'
import { catalogPath, channelPath, PATHS, releasesPath } from '../../wire/paths.ts'
import { ChannelBody as ChannelSchema, ChannelsBody } from '../../wire/schemas.ts'
import type { DownloadRequest, Session } from '../client.ts'
import { downloadFiles } from './download.ts'
import { boundsOf, diffLineOf, releaseOf } from './lines.ts'
import { readManifest, readReleases } from './manifests.ts'
import { type Page, readPages } from './pages.ts'
import { type Place, pinnedPlace, type Release } from './place.ts'

export interface SessionOptions {
  readonly caller: Caller
  readonly random: Random
  readonly place: Place
  /** Gives the head of the moment; only for a session that may start again. */
  readonly again?: (signal?: AbortSignal) => Promise<Generation>
}

const RESTARTS_MAXIMUM = 2

export class PinnedSession implements Session {
  readonly #caller: Caller
  readonly #random: Random
  readonly #again: SessionOptions['again']
  #place: Place
  #restarts = 0
  #handedOn = false
  #last: { readonly release: Release; readonly manifest: Manifest } | undefined

  constructor({ caller, random, place, again }: SessionOptions) {
    this.#caller = caller
    this.#random = random
    this.#place = place
    this.#again = again
  }

  get generation(): Generation {
    return this.#place.generation
  }

  async *channels(signal?: AbortSignal): AsyncGenerator<ChannelBody> {
    const first = await this.#reading(async (place) => await this.#get(place, PATHS.channels, signal), signal)
    yield* this.#pages(first, readChannels, signal)
  }

  async channel(name: string, signal?: AbortSignal): Promise<ChannelBody> {
    return await this.#reading(async (place) => await this.#channelIn(place, name, signal), signal)
  }

  async *catalog(channel: string, signal?: AbortSignal): AsyncGenerator<ReleaseBody> {
    const { answer, expected } = await this.#reading(async (place) => {
      const settings = place.fixed ? await this.#channelIn(place, channel, signal) : undefined
      return { expected: settings, answer: await this.#get(place, catalogPath(channel), signal) }
    }, signal)
    const count = { lines: 0, bytes: 0 }
    for await (const line of readLines(counted(answer, count), releaseOf, boundsOf(answer))) {
      count.lines += 1
      yield line
    }
    // A compressed body that was cut off can look whole.
    if (expected !== undefined && (count.lines !== expected.releases || count.bytes !== expected.bytes))
      throw answer.invalid(`${count.lines} releases in ${count.bytes} bytes, not the whole catalog`)
  }

  async *changes(channel: string, since: Gid, signal?: AbortSignal): AsyncGenerator<DiffLine> {
    const path = `${catalogPath(channel)}?since=${since}`
    const answer = await this.#reading(async (place) => await this.#get(place, path, signal), signal)
    yield* readLines(answer.chunks(), diffLineOf, boundsOf(answer))
  }

  async *releases(
    channel: string,
    name: string,
    range?: string,
    signal?: AbortSignal,
  ): AsyncGenerator<ReleaseBody> {
    const query = range === undefined ? '' : `?range=${encodeURIComponent(range)}`
    const path = releasesPath(channel, name) + query
    const first = await this.#reading(async (place) => await this.#get(place, path, signal), signal)
    yield* this.#pages(first, readReleases, signal)
  }

  async manifest(channel: string, name: string, version: string, signal?: AbortSignal): Promise<Manifest> {
    const release = { channel, name, version }
    return await this.#reading(
      async (place) => await readManifest(this.#caller, place, release, signal),
      signal,
    )
  }

  // oxlint-disable-next-line max-params -- a file has four names
  async *file(
    channel: string,
    name: string,
    version: string,
    path: string,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const release = { channel, name, version }
    const file = (await this.#manifestOf(release, signal)).files.find((candidate) => candidate.path === path)
    if (file === undefined) throw failure('not-found', { what: `file ${path} in ${name} ${version}` })
    yield* this.#bytesOf(release, file, signal)
  }

  async download(request: DownloadRequest, signal?: AbortSignal): Promise<Manifest> {
    const manifest = await this.#manifestOf(request, signal)
    const read = (file: ManifestFile, either: AbortSignal) => this.#bytesOf(request, file, either)
    await downloadFiles({ files: manifest.files, request, read, random: this.#random }, signal)
    return manifest
  }

  /** Somebody who reads file after file of one release does not ask for its manifest each time. */
  async #manifestOf(release: Release, signal?: AbortSignal): Promise<Manifest> {
    const { channel, name, version } = release
    const last = this.#place.fixed ? this.#last : undefined
    const { release: known } = last ?? {}
    if (last && known?.channel === channel && known.name === name && known.version === version)
      return last.manifest
    const manifest = await this.manifest(channel, name, version, signal)
    this.#last = { release: { channel, name, version }, manifest }
    return manifest
  }

  #bytesOf(
    release: Release,
    { path, digest, size }: ManifestFile,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    // Whoever answers, the digest says whether it is right.
    return download(
      this.#caller,
      { path: this.#place.pathOfFile(release, path, digest), digest, size },
      signal,
    )
  }

  #pages<Item>(
    first: Answer,
    read: (answer: Answer) => Promise<Page<Item>>,
    signal?: AbortSignal,
  ): AsyncGenerator<Item> {
    const place = this.#place
    return readPages(this.#caller, first, { read, check: (answer) => place.check(answer) }, signal)
  }

  async #channelIn(place: Place, name: string, signal?: AbortSignal): Promise<ChannelBody> {
    const answer = await this.#get(place, channelPath(name), signal)
    return await answer.json(ChannelSchema)
  }

  async #get(place: Place, path: string, signal?: AbortSignal): Promise<Answer> {
    const answer = await this.#caller.call({ path: place.pathOf(path) }, signal)
    place.check(answer)
    return answer
  }

  /** Runs one reading to its first result, again at the head while that is possible. */
  async #reading<Result>(read: (place: Place) => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    for (;;) {
      const place = this.#place
      try {
        const result = await read(place)
        if (place === this.#place) {
          this.#handedOn = true
          return result
        }
      } catch (error) {
        if (place === this.#place) await this.#restart(error, signal)
      }
    }
  }

  async #restart(error: unknown, signal?: AbortSignal): Promise<void> {
    const again = this.#again
    const retired = isFailure(error, 'generation-retired') || isFailure(error, 'withdrawn')
    const ours = retired && error.details['wanted'] === this.#place.generation.gid
    if (!ours || again === undefined || this.#handedOn || this.#restarts === RESTARTS_MAXIMUM) throw error
    this.#restarts += 1
    this.#place = pinnedPlace(await again(signal))
  }
}

async function readChannels(answer: Answer): Promise<Page<ChannelBody>> {
  const { channels, next } = await answer.json(ChannelsBody)
  return { items: channels, ...(next === undefined ? {} : { next }) }
}

async function* counted(answer: Answer, count: { bytes: number }): AsyncGenerator<Uint8Array> {
  for await (const chunk of answer.chunks()) {
    count.bytes += chunk.length
    yield chunk
  }
}
