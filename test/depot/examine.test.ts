/** What the engine finds in a manifest: the same as reading it, as flat bytes that a worker can give away. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  blobsIn,
  type ExaminedManifest,
  examineManifest,
  PARSED_MANIFEST_BYTES,
  rowsIn,
} from '../../src/depot/read/examine.ts'
import { canonicalText, type Json } from '../../src/model/canonical.ts'
import { digestOf } from '../../src/model/digest.ts'
import { sizeOfFiles } from '../../src/model/manifest.ts'
import { semverOrder } from '../../src/model/version.ts'
import { manifests, parsed, type Sent, sent } from '../model/manifests.ts'
import { outcomeOf } from '../model/refusal.ts'

function examined(value: unknown): ExaminedManifest {
  return examineManifest(Buffer.from(JSON.stringify(value)), semverOrder)
}

/** The same manifest, so large that its files get rows. */
function large(manifest: Sent): Sent {
  return { ...manifest, annotations: { a: 'x'.repeat(PARSED_MANIFEST_BYTES) } }
}

function manifestOf(bytes: number): ExaminedManifest {
  const files = [{ path: 'a', digest: digestOf('a'), size: 1 }]
  const bare = parsed(sent({ files, annotations: { a: '' } })).bytes.length
  return examined(sent({ files, annotations: { a: 'x'.repeat(bytes - bare) } }))
}

describe('an examined manifest', () => {
  it('says what the manifest says', () => {
    fc.assert(
      fc.property(manifests, (value) => {
        const { manifest, bytes, digest } = parsed(value)
        const found = examined(value)
        expect(found).toMatchObject({ digest, name: manifest.name, version: manifest.version })
        expect(found.summary).toBe(manifest.summary)
        expect(found.published).toBe(manifest.published)
        expect(found.size).toBe(sizeOfFiles(manifest))
        expect(bytes.equals(found.bytes)).toBe(true)
      }),
    )
  })

  it('names every blob once, with its size', () => {
    fc.assert(
      fc.property(manifests, (value) => {
        const { files } = parsed(value).manifest
        const expected = new Map(files.map(({ digest, size }) => [digest as string, size]))
        const found = blobsIn(examined(value))
        expect(found).toHaveLength(expected.size)
        expect(new Map(found.map(({ digest, size }) => [digest as string, size]))).toEqual(expected)
      }),
    )
  })

  it('keeps the size of the largest file there may be', () => {
    const size = 1_099_511_627_776
    expect(blobsIn(examined(sent({ files: [{ path: 'a', digest: digestOf('a'), size }] })))).toEqual([
      { digest: digestOf('a'), size },
    ])
  })

  it('is refused as the manifest is', () => {
    expect(outcomeOf(() => examined(sent({ version: '1' })))).toBe('version-invalid')
    expect(outcomeOf(() => examineManifest(Buffer.from('{'), semverOrder))).toBe('manifest-invalid')
  })
})

describe('the rows of a large manifest', () => {
  it('are one for each file, sorted by the bytes of its path, with its canonical JSON', () => {
    fc.assert(
      fc.property(manifests, (value) => {
        const { files } = parsed(value).manifest
        const rows = [...rowsIn(examined(large(value)).rows)]
        expect(rows.map(({ path }) => Buffer.from(path).toString())).toEqual(files.map(({ path }) => path))
        expect(rows.map(({ file }) => Buffer.from(file).toString())).toEqual(
          files.map((file) => canonicalText(file as unknown as Json)),
        )
        for (const [at, { path }] of rows.entries())
          expect(at === 0 || Buffer.compare(rows[at - 1]?.path ?? path, path) < 0).toBe(true)
      }),
    )
  })

  it('hold the longest path and file there may be', () => {
    const file = {
      path: 'é'.repeat(512),
      digest: digestOf('a'),
      size: 1,
      mediaType: `a/b;c="${'d'.repeat(200)}"`,
    }
    const [row] = rowsIn(examined(large(sent({ files: [file] }))).rows)
    expect(row && JSON.parse(Buffer.from(row.file).toString())).toEqual(file)
    expect(row && Buffer.from(row.path).toString()).toBe(file.path)
  })

  it('are made only where a manifest is not parsed when it is read', () => {
    expect(manifestOf(PARSED_MANIFEST_BYTES).bytes.length).toBe(PARSED_MANIFEST_BYTES)
    expect(manifestOf(PARSED_MANIFEST_BYTES).rows.length).toBe(0)
    expect([...rowsIn(manifestOf(PARSED_MANIFEST_BYTES + 1).rows)]).toHaveLength(1)
  })

  it('are none where there are no files', () => {
    expect(examined(large(sent())).rows.length).toBe(0)
    expect([...rowsIn(new Uint8Array())]).toEqual([])
  })

  it('are read from a view into longer bytes', () => {
    const { rows } = examined(large(sent({ files: [{ path: 'a', digest: digestOf('a'), size: 1 }] })))
    const longer = new Uint8Array(Buffer.concat([Buffer.alloc(3, 7), rows, Buffer.alloc(3, 7)]))
    const paths = [...rowsIn(longer.subarray(3, 3 + rows.length))].map(({ path }) =>
      Buffer.from(path).toString(),
    )
    expect(paths).toEqual(['a'])
  })
})

describe('what a worker gives away', () => {
  it('is memory of its own, so that giving it takes nothing from anybody', () => {
    const found = examined(large(sent({ files: [{ path: 'a', digest: digestOf('a'), size: 1 }] })))
    for (const bytes of [found.blobs, found.blobSizes, found.rows])
      expect([bytes.byteOffset, bytes.byteLength]).toEqual([0, bytes.buffer.byteLength])
    const given = structuredClone(found, {
      transfer: [found.blobs.buffer, found.blobSizes.buffer, found.rows.buffer] as ArrayBuffer[],
    })
    expect(blobsIn(given)).toEqual([{ digest: digestOf('a'), size: 1 }])
    expect([...rowsIn(given.rows)]).toHaveLength(1)
  })
})
