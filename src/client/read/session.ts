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
import { download, type Lasting, lasting } from '../../wire/caller-download.ts'
import { readLines } from '../../wire/ndjson.ts'
import { catalogPath, channelPath, PATHS, releasesPath } from '../../wire/paths.ts'
import { ChannelBody as ChannelSchema, ChannelsBody } from '../../wire/schemas.ts'
import type { DownloadRequest, Session } from '../client.ts'
import { downloadFiles } from './download.ts'
import { boundsOf, diffLineOf, releaseOf } from './lines.ts'
import { readManifest, releasesReader } from './manifests.ts'
import { type PageReader, readPages } from './pages.ts'
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
    const { first, read } = await this.#reading(async (place) => {
      const channelsOf = channelsReader(place, signal)
      const path = place.pathOf(PATHS.channels)
      return { read: channelsOf, first: await this.#caller.read({ path }, channelsOf, signal) }
    }, signal)
    yield* readPages(this.#caller, first, read, signal)
  }

  async channel(name: string, signal?: AbortSignal): Promise<ChannelBody> {
    return await this.#reading(async (place) => await this.#channelIn(place, name, signal), signal)
  }

  async *catalog(channel: string, signal?: AbortSignal): AsyncGenerator<ReleaseBody> {
    const { place, first, tree } = await this.#reading(async (at) => {
      const releases = await at.trees?.releases(channel, signal)
      return { place: at, tree: releases, first: await this.#get(at, catalogPath(channel), signal) }
    }, signal)
    if (place.trees === undefined || tree === undefined) {
      yield* readLines(first.chunks(), releaseOf, boundsOf(first))
      return
    }
    const chunks = this.#lasting(place, { first, size: tree.bytes }, catalogPath(channel), signal)
    yield* readLines(place.trees.leaves(tree, chunks, signal), releaseOf, boundsOf(first))
  }

  async *changes(channel: string, since: Gid, signal?: AbortSignal): AsyncGenerator<DiffLine> {
    const path = `${catalogPath(channel)}?since=${since}`
    const { place, first } = await this.#reading(
      async (at) => ({ place: at, first: await this.#get(at, path, signal) }),
      signal,
    )
    const chunks = place.trees === undefined ? first.chunks() : this.#lasting(place, { first }, path, signal)
    yield* readLines(chunks, diffLineOf, boundsOf(first))
  }

  async *releases(
    channel: string,
    name: string,
    range?: string,
    signal?: AbortSignal,
  ): AsyncGenerator<ReleaseBody> {
    const query = range === undefined ? '' : `?range=${encodeURIComponent(range)}`
    const { first, read } = await this.#reading(async (place) => {
      const releases = releasesReader(place, { channel, name }, signal)
      const path = place.pathOf(releasesPath(channel, name) + query)
      return { read: releases, first: await this.#caller.read({ path }, releases, signal) }
    }, signal)
    yield* readPages(this.#caller, first, read, signal)
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
    const last = this.#place.trees === undefined ? undefined : this.#last
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

  /** What is pinned is the same from every node, so a stream of it that breaks off goes on from another one. */
  #lasting(
    place: Place,
    what: Pick<Lasting, 'first' | 'size'>,
    path: string,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const check = (answer: Answer): void => {
      place.check(answer)
    }
    return lasting(this.#caller, { ...what, path: place.pathOf(path), check }, signal)
  }

  async #channelIn(place: Place, name: string, signal?: AbortSignal): Promise<ChannelBody> {
    const read = async (answer: Answer): Promise<ChannelBody> => {
      place.check(answer)
      const channel = await answer.json(ChannelSchema)
      if (channel.name !== name) throw answer.invalid(`channel ${channel.name} for ${name}`)
      await demandTold(place, channel, answer, signal)
      return channel
    }
    return await this.#caller.read({ path: place.pathOf(channelPath(name)) }, read, signal)
  }

  async #get(place: Place, path: string, signal?: AbortSignal): Promise<Answer> {
    const answer = await this.#caller.call({ path: place.pathOf(path) }, signal)
    try {
      place.check(answer)
    } catch (error) {
      // Nobody will read it any more.
      await answer.discard()
      throw error
    }
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
    // One that a fork has lost has a head after it only for who says so, which `again` finds out.
    const gone =
      isFailure(error, 'generation-retired') ||
      isFailure(error, 'withdrawn') ||
      isFailure(error, 'generation-lost')
    const ours = gone && error.details['wanted'] === this.#place.generation.gid
    if (!ours || again === undefined || this.#handedOn || this.#restarts === RESTARTS_MAXIMUM) throw error
    this.#restarts += 1
    this.#place = pinnedPlace(this.#caller, await again(signal))
  }
}

function channelsReader(place: Place, signal?: AbortSignal): PageReader<ChannelBody> {
  return async (answer) => {
    place.check(answer)
    const { channels, next } = await answer.json(ChannelsBody)
    for (const channel of channels) await demandTold(place, channel, answer, signal)
    return { items: channels, ...(next === undefined ? {} : { next }) }
  }
}

/** Fails with `answer-invalid` when this is not what the generation says of the channel. */
async function demandTold(
  { trees }: Place,
  channel: ChannelBody,
  answer: Answer,
  signal?: AbortSignal,
): Promise<void> {
  if (trees !== undefined && !(await trees.hasChannel(channel, signal)))
    throw answer.invalid(`channel ${channel.name} as this generation does not have it`)
}
