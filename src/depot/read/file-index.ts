/**
 * Finding one file of a release without reading its manifest (DESIGN §3, "Small things").
 *
 * A small manifest is parsed once and kept while it is hot. A large one has one row per path in the derived table,
 * found by one look-up in O(log n) however many files there are. Rows may be dropped at any time: they are made again
 * from the manifest when somebody asks.
 */
import { LRUCache } from 'lru-cache'
import { type Digest, rawOf } from '../../model/digest.ts'
import { failure } from '../../model/errors.ts'
import { LIMITS } from '../../model/limits.ts'
import type { Manifest, ManifestFile } from '../../model/manifest.ts'
import { slices } from '../../model/slice.ts'
import { after, type Soon } from '../../model/soon.ts'
import type { Clock } from '../../model/world.ts'
import type { Blob, Derived, Pool } from '../../pool/pool.ts'
import { type Examine, type ExaminedManifest, PARSED_MANIFEST_BYTES, rowsIn } from './examine.ts'
import { wholeOf } from './whole.ts'

type Files = ReadonlyMap<string, ManifestFile>
type Row = readonly [Uint8Array, Uint8Array]

/** What a parsed manifest costs in memory, as a multiple of its bytes, roughly. */
const PARSED_FACTOR = 4
const ROWS_PER_WRITE = 4096

export class FileIndex {
  readonly #pool: Pick<Pool, 'open'>
  readonly #derived: Derived
  readonly #examine: Examine
  readonly #clock: Clock
  readonly #parsed: LRUCache<Digest, Files>
  readonly #building = new Map<Digest, Promise<void>>()

  constructor(pool: Pick<Pool, 'open'>, derived: Derived, examine: Examine, clock: Clock) {
    this.#pool = pool
    this.#derived = derived
    this.#examine = examine
    this.#clock = clock
    this.#parsed = new LRUCache({ maxSize: LIMITS.manifestCacheBytes })
  }

  /** The file at `path` in the release that `manifest` describes; undefined when there is none. */
  find(manifest: Digest, path: string): Soon<ManifestFile | undefined> {
    const parsed = this.#parsed.get(manifest)
    return parsed === undefined ? this.#findUnparsed(manifest, path) : parsed.get(path)
  }

  #findUnparsed(manifest: Digest, path: string): Soon<ManifestFile | undefined> {
    if (this.#derived.get(markOf(manifest)) !== undefined) return this.#look(manifest, path)
    return after(this.#pool.open(manifest), (blob) => {
      if (blob === undefined) throw failure('blob-unavailable', { digest: manifest })
      if (blob.size <= PARSED_MANIFEST_BYTES) return after(this.#parse(blob), (files) => files.get(path))
      return after(this.#build(blob), () => this.#look(manifest, path))
    })
  }

  /** Keeps the rows of a large manifest, so that its first reader need not make them. */
  async keep({ digest, rows }: Pick<ExaminedManifest, 'digest' | 'rows'>): Promise<void> {
    if (rows.length === 0) return
    const pace = slices(this.#clock)
    let batch: Row[] = []
    for (const { path, file } of rowsIn(rows)) {
      batch.push([rowKeyOf(digest, path), file])
      if (batch.length === ROWS_PER_WRITE) {
        await this.#derived.put(batch)
        batch = []
      }
      const turn = pace.breathe()
      if (turn !== undefined) await turn
    }
    await this.#derived.put(batch)
    await this.#derived.put([[markOf(digest), new Uint8Array(1)]])
  }

  #look(manifest: Digest, path: string): ManifestFile | undefined {
    // No path is empty, and the row of an empty one is the mark.
    if (path === '' || Buffer.byteLength(path) > LIMITS.pathBytes) return undefined
    const row = this.#derived.get(rowKeyOf(manifest, Buffer.from(path)))
    return row && (JSON.parse(Buffer.from(row).toString()) as ManifestFile)
  }

  #parse(blob: Blob): Soon<Files> {
    return after(wholeOf(blob), (whole) => {
      const { files } = JSON.parse(whole.toString()) as Manifest
      const byPath = new Map(files.map((file) => [file.path as string, file]))
      this.#parsed.set(blob.digest, byPath, { size: blob.size * PARSED_FACTOR })
      return byPath
    })
  }

  /** One reader makes the rows; the others wait for them. */
  async #build(blob: Blob): Promise<void> {
    const building = this.#building.get(blob.digest) ?? this.#examineAndKeep(blob)
    this.#building.set(blob.digest, building)
    try {
      await building
    } finally {
      this.#building.delete(blob.digest)
    }
  }

  async #examineAndKeep(blob: Blob): Promise<void> {
    await this.keep(await this.#examine(await wholeOf(blob)))
  }
}

/** The row that says that all paths of a manifest have rows. No path is empty, so it is none of them. */
function markOf(manifest: Digest): Uint8Array {
  return rawOf(manifest)
}

function rowKeyOf(manifest: Digest, path: Uint8Array): Uint8Array {
  return Buffer.concat([rawOf(manifest), path])
}
