/**
 * Many releases on their way into a stage, in loads: while one load travels the next one is gathered, so there are
 * never more than two in memory. A blob that many releases share is sent once.
 */
import type { Staging } from '../../client/client.ts'
import type { FileSource, ImportedRelease } from '../../format/importer.ts'
import type { Digest } from '../../model/digest.ts'
import type { Manifest } from '../../model/manifest.ts'
import type { ChannelName } from '../../model/name.ts'

/** A load is full when it has one of these. */
const FULL = { bytes: 67_108_864, files: 10_000, releases: 1_000 } as const

export class Loads {
  readonly #staging: Pick<Staging, 'upload' | 'putAll'>
  readonly #channel: ChannelName
  readonly #signal: AbortSignal
  readonly #sent = new Set<Digest>()
  #manifests: Manifest[] = []
  #sources: FileSource[] = []
  #bytes = 0
  #travelling: Promise<void> = Promise.resolve()

  constructor(staging: Pick<Staging, 'upload' | 'putAll'>, channel: ChannelName, signal: AbortSignal) {
    this.#staging = staging
    this.#channel = channel
    this.#signal = signal
  }

  /** Waits when a load is full and the one before has not arrived yet. */
  async add({ manifest, sources }: ImportedRelease): Promise<void> {
    this.#manifests.push(manifest)
    for (const source of sources) {
      if (this.#sent.has(source.digest)) continue
      this.#sent.add(source.digest)
      this.#sources.push(source)
      this.#bytes += source.size
    }
    const full =
      this.#bytes >= FULL.bytes ||
      this.#sources.length >= FULL.files ||
      this.#manifests.length >= FULL.releases
    if (full) await this.#send()
  }

  /** Sends what is left, and waits until everything has arrived. */
  async finish(): Promise<void> {
    await this.#send()
    await this.#travelling
  }

  async #send(): Promise<void> {
    await this.#travelling
    this.#travelling = this.#carry(this.#sources, this.#manifests)
    // Whoever waits for it next gets the failure; until then it is not unhandled.
    this.#travelling.catch(() => undefined)
    this.#sources = []
    this.#manifests = []
    this.#bytes = 0
  }

  /** Blobs first, so that no manifest ever names what is not there. */
  async #carry(sources: readonly FileSource[], manifests: readonly Manifest[]): Promise<void> {
    if (sources.length > 0) await this.#staging.upload(sources, undefined, this.#signal)
    if (manifests.length > 0) await this.#staging.putAll(this.#channel, manifests, this.#signal)
  }
}
