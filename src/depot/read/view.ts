/**
 * Reading one metaset: what a generation, or a stage in preview, offers. A view never changes and costs the same
 * whether its generation is the head or years old.
 */
import { type Format, formatOf } from '../../format/format.ts'
import { keyOf } from '../../metaset/key.ts'
import { type Channel, channelIn, type Metaset } from '../../metaset/metaset.ts'
import type { NodeReader } from '../../metaset/node.ts'
import { entriesOfName, lookup } from '../../metaset/read.ts'
import { decodeRelease, type Release } from '../../metaset/release.ts'
import { type Digest, isDigest } from '../../model/digest.ts'
import { failure } from '../../model/errors.ts'
import type { Gid } from '../../model/generation.ts'
import type { ManifestFile } from '../../model/manifest.ts'
import { clip } from '../../model/name.ts'
import { after, type Soon } from '../../model/soon.ts'
import type { FileIndex } from './file-index.ts'

/** What a view reads from; the same for all views of a depot. */
export interface Sources {
  readonly nodes: NodeReader
  readonly files: FileIndex
}

export interface Wish {
  readonly channel: string
  readonly name: string
  readonly version: string
}

export class View {
  readonly gid: Gid
  readonly metaset: Metaset
  readonly #sources: Sources

  constructor(gid: Gid, metaset: Metaset, sources: Sources) {
    this.gid = gid
    this.metaset = metaset
    this.#sources = sources
  }

  /** Fails with `not-found`. */
  channel(name: string): Channel {
    const channel = this.known(name)
    if (channel === undefined || channel.settings.dropped === true)
      throw failure('not-found', { what: `channel ${clip(name)}` })
    return channel
  }

  /** A channel that is there, or was once. */
  known(name: string): Channel | undefined {
    return channelIn(this.metaset, name)
  }

  /** The names of its channels, in order. */
  channelNames(): readonly string[] {
    return Object.entries(this.metaset.channels)
      .filter(([, { settings }]) => settings.dropped !== true)
      .map(([name]) => name)
      .sort()
  }

  format(channel: string): Format {
    return formatOf(this.channel(channel).format)
  }

  /** The line of the catalog, at once when it is at hand. Fails with `not-found`. */
  release(wish: Wish): Soon<Release> {
    return after(this.#line(wish), decodeRelease)
  }

  /** Its manifest alone, for which the line is not parsed. Fails with `not-found`. */
  manifest(wish: Wish): Soon<Digest> {
    return after(this.#line(wish), manifestIn)
  }

  /** Every version of one name, in the order of the tree. */
  async *releases(channel: string, name: string): AsyncGenerator<Release> {
    for await (const { line } of entriesOfName(this.#sources.nodes, this.channel(channel).releases, name))
      yield decodeRelease(line)
  }

  /** At once when it is at hand. Fails with `not-found`. */
  file(wish: Wish, path: string): Soon<ManifestFile> {
    const found = after(this.manifest(wish), (manifest) => this.#sources.files.find(manifest, path))
    return after(found, (file) => {
      if (file !== undefined) return file
      const what = `file ${clip(path)} in ${wish.name} ${wish.version} of channel ${wish.channel}`
      throw failure('not-found', { what })
    })
  }

  #line(wish: Wish): Soon<Buffer> {
    const { releases } = this.channel(wish.channel)
    return after(lookup(this.#sources.nodes, releases, keyOf(wish.name, wish.version)), (line) => {
      if (line !== undefined) return line
      const what = `release ${clip(wish.name)} ${clip(wish.version)} in channel ${wish.channel}`
      throw failure('not-found', { what })
    })
  }
}

/** `sha256:` and 64 digits. */
const DIGEST_TEXT_BYTES = 71
/** Canonical JSON has its members in order, and no member of a release comes before this one. */
const MANIFEST_AT = '{"manifest":"'.length

function manifestIn(line: Buffer): Digest {
  const digest = line.toString('latin1', MANIFEST_AT, MANIFEST_AT + DIGEST_TEXT_BYTES)
  return isDigest(digest) ? digest : decodeRelease(line).manifest
}
