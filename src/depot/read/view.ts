/**
 * Reading one metaset: what a generation, or a stage in preview, offers. A view never changes and costs the same
 * whether its generation is the head or years old.
 */
import { type Format, formatOf } from '../../format/format.ts'
import { keyOf } from '../../metaset/key.ts'
import type { Channel, Metaset } from '../../metaset/metaset.ts'
import type { NodeReader } from '../../metaset/node.ts'
import { entriesOfName, lookup } from '../../metaset/read.ts'
import { decodeRelease, type Release } from '../../metaset/release.ts'
import { failure } from '../../model/errors.ts'
import type { Gid } from '../../model/generation.ts'
import type { ManifestFile } from '../../model/manifest.ts'
import { clip } from '../../model/name.ts'
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
    const channel = Object.hasOwn(this.metaset.channels, name) ? this.metaset.channels[name] : undefined
    if (channel === undefined || channel.settings.dropped === true)
      throw failure('not-found', { what: `channel ${clip(name)}` })
    return channel
  }

  /** The names of its channels, in order. */
  channelNames(): readonly string[] {
    return Object.keys(this.metaset.channels)
      .filter((name) => this.metaset.channels[name]?.settings.dropped !== true)
      .sort()
  }

  format(channel: string): Format {
    return formatOf(this.channel(channel).format)
  }

  /** The line of the catalog. Fails with `not-found`. */
  async release(wish: Wish): Promise<Release> {
    const line = await lookup(
      this.#sources.nodes,
      this.channel(wish.channel).releases,
      keyOf(wish.name, wish.version),
    )
    if (line === undefined)
      throw failure('not-found', {
        what: `release ${clip(wish.name)} ${clip(wish.version)} in channel ${wish.channel}`,
      })
    return decodeRelease(line)
  }

  /** Every version of one name, in the order of the tree. */
  async *releases(channel: string, name: string): AsyncGenerator<Release> {
    for await (const { line } of entriesOfName(this.#sources.nodes, this.channel(channel).releases, name))
      yield decodeRelease(line)
  }

  /** Fails with `not-found`. */
  async file(wish: Wish, path: string): Promise<ManifestFile> {
    const { manifest } = await this.release(wish)
    const file = await this.#sources.files.find(manifest, path)
    if (file === undefined)
      throw failure('not-found', {
        what: `file ${clip(path)} in ${wish.name} ${wish.version} of channel ${wish.channel}`,
      })
    return file
  }
}
