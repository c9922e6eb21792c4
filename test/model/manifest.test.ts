/** The one form of a manifest: golden vectors, and that it does not depend on how the publisher says it. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../src/model/digest.ts'
import { encodeManifest, parseManifest, sizeOfFiles } from '../../src/model/manifest.ts'
import { semverOrder } from '../../src/model/version.ts'
import { fixture } from './fixture.ts'
import { DIGEST, manifests, parsed, parsedText, retold, sent, sentFile } from './manifests.ts'
import { outcomeOf } from './refusal.ts'

interface GoldenManifest {
  readonly what: string
  readonly sent: string
  readonly canonical: string
  readonly digest: string
}

const golden = fixture<{ manifests: GoldenManifest[] }>('manifests.json')

describe.each(golden.manifests)('the golden manifest: $what', ({ sent: text, canonical, digest }) => {
  it('has this one form', () => {
    expect(parsedText(text).bytes.toString()).toBe(canonical)
  })

  it('has this digest', () => {
    expect(parsedText(text).digest).toBe(digest)
  })

  it('is what its one form says', () => {
    expect(parsedText(canonical).manifest).toEqual(parsedText(text).manifest)
  })
})

describe('the one form of a manifest', () => {
  it('is the same however it is said: members and files in any order, any white space, any escapes', () => {
    fc.assert(
      fc.property(manifests, fc.nat(), (manifest, seed) => {
        const { digest } = parsed(manifest)
        expect(parsedText(retold(manifest, seed)).digest).toBe(digest)
      }),
      { numRuns: 200 },
    )
  })

  it('is its own one form', () => {
    fc.assert(
      fc.property(manifests, (manifest) => {
        const { bytes, digest } = parsed(manifest)
        const again = parseManifest(bytes, semverOrder)
        expect(again.bytes.equals(bytes)).toBe(true)
        expect(again.digest).toBe(digest)
        expect(digestOf(bytes)).toBe(digest)
      }),
    )
  })

  it('loses nothing and adds nothing', () => {
    fc.assert(
      fc.property(manifests, (manifest) => {
        const { bytes, manifest: kept } = parsed(manifest)
        const said = JSON.parse(JSON.stringify(manifest)) as { files: { path: string }[] }
        const found = JSON.parse(bytes.toString()) as typeof said
        expect(byPath(found)).toEqual(byPath(said))
        expect(byPath(JSON.parse(JSON.stringify(kept)) as typeof said)).toEqual(byPath(said))
        expect(found.files.map(({ path }) => path)).toEqual(
          said.files.map(({ path }) => path).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
        )
      }),
    )
  })

  it('is the same for a value at hand as for its text', () => {
    fc.assert(
      fc.property(manifests, (manifest) => {
        const { bytes, digest } = encodeManifest(manifest, semverOrder)
        expect([bytes.toString(), digest]).toEqual([
          parsed(manifest).bytes.toString(),
          parsed(manifest).digest,
        ])
      }),
    )
  })

  it('leaves what it was given as it was', () => {
    const files = Object.freeze([
      Object.freeze({ path: 'b', digest: DIGEST, size: 3 }),
      Object.freeze({ path: 'a', digest: DIGEST, size: 3 }),
    ])
    expect(
      encodeManifest(Object.freeze(sent({ files })), semverOrder).manifest.files.map(({ path }) => path),
    ).toEqual(['a', 'b'])
    expect(files.map(({ path }) => path)).toEqual(['b', 'a'])
  })

  it('is read from a view into longer bytes', () => {
    const text = Buffer.from(JSON.stringify(sent()))
    const longer = new Uint8Array(Buffer.concat([Buffer.from('{"x'), text, Buffer.from('}]')]))
    expect(parseManifest(longer.subarray(3, 3 + text.length), semverOrder).digest).toBe(parsed(sent()).digest)
  })

  it('has another digest when anything in it is another', () => {
    const others = [
      sentFile(),
      sentFile({ path: 'b' }),
      sentFile({ size: 4 }),
      sentFile({ digest: digestOf('two') }),
      sentFile({ mode: 0 }),
      sentFile({ os: '' }),
      sentFile({ cpu: '' }),
      sentFile({ mediaType: 'a/b' }),
      { ...sentFile(), name: 'b' },
      { ...sentFile(), version: '1.0.1' },
      { ...sentFile(), summary: '' },
      { ...sentFile(), dependencies: {} },
      { ...sentFile(), annotations: {} },
      { ...sentFile(), published: '2026-11-22T04:22:08Z' },
      { ...sentFile(), published: '2026-11-22T04:22:08.000Z' },
    ]
    expect(new Set(others.map((other) => parsed(other).digest)).size).toBe(others.length)
  })
})

describe('names that every object has', () => {
  const text = `{"name":"constructor","version":"1.0.0",
    "files":[{"path":"__proto__","digest":"${DIGEST}","size":3},{"path":"constructor/__proto__","digest":"${DIGEST}","size":3}],
    "dependencies":{"__proto__":"^1.0.0","constructor":"*","hasOwnProperty":"1"},
    "annotations":{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"toJSON":"x"}}`

  it('stay what they are, as names of releases, files, dependencies and annotations', () => {
    const { bytes, manifest } = parsedText(text)
    expect(Object.entries(manifest.dependencies ?? {})).toEqual([
      ['__proto__', '^1.0.0'],
      ['constructor', '*'],
      ['hasOwnProperty', '1'],
    ])
    expect(Object.keys(manifest.annotations ?? {})).toEqual(['__proto__', 'constructor', 'toJSON'])
    expect(manifest.files.map(({ path }) => path)).toEqual(['__proto__', 'constructor/__proto__'])
    expect(bytes.toString()).toContain(
      '"dependencies":{"__proto__":"^1.0.0","constructor":"*","hasOwnProperty":"1"}',
    )
    expect(bytes.toString()).toContain('"annotations":{"__proto__":{"polluted":true},')
  })

  it('change no other object', () => {
    parsedText(text)
    expect(({} as { polluted?: true }).polluted).toBeUndefined()
    expect(Object.getPrototypeOf(parsedText(text).manifest.dependencies)).toBe(Object.prototype)
  })

  it.each([
    ['the manifest', `{"name":"a","version":"1.0.0","files":[],"__proto__":{}}`],
    [
      'a file',
      `{"name":"a","version":"1.0.0","files":[{"path":"a","digest":"${DIGEST}","size":3,"__proto__":{}}]}`,
    ],
    ['a manifest that inherits all it has', `{"__proto__":{"name":"a","version":"1.0.0","files":[]}}`],
  ])('are unknown members of %s', (_, unknown) => {
    expect(outcomeOf(() => parsedText(unknown))).toBe('manifest-invalid')
  })
})

describe('the size of a release', () => {
  it('is that of all its files together', () => {
    const files = ['a', 'b', 'c'].map((path, at) => ({ path, digest: digestOf(path), size: 10 ** at }))
    expect(sizeOfFiles(parsed(sent({ files })).manifest)).toBe(111)
    expect(sizeOfFiles(parsed(sent()).manifest)).toBe(0)
  })
})

function byPath(manifest: { readonly files: readonly { readonly path: string }[] }): unknown {
  return { ...manifest, files: Object.fromEntries(manifest.files.map((file) => [`/${file.path}`, file])) }
}
