/** What is not a manifest: every reason with the smallest input, and every bound from both sides. */
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../src/model/digest.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { parseManifest } from '../../src/model/manifest.ts'
import { semverOrder } from '../../src/model/version.ts'
import { DIGEST, parsed, parsedText, sent, sentFile } from './manifests.ts'
import { outcomeOf, refusalOf } from './refusal.ts'

const INVALID = 'manifest-invalid'

function outcomeOfFiles(...paths: readonly string[]): string {
  return outcomeOf(() => parsed(sent({ files: paths.map((path) => ({ path, digest: DIGEST, size: 3 })) })))
}

function without(member: string): Record<string, unknown> {
  return Object.fromEntries(Object.entries(sent()).filter(([name]) => name !== member))
}

describe('text that is no manifest', () => {
  it.each([
    ['nothing', ''],
    ['no JSON', '{'],
    ['JSON and more', '{"name":"a","version":"1.0.0","files":[]}{}'],
    ['a comment', '{"name":"a","version":"1.0.0","files":[]/**/}'],
    ['a comma too many', '{"name":"a","version":"1.0.0","files":[],}'],
    ['a byte order mark', '\ufeff{"name":"a","version":"1.0.0","files":[]}'],
    ['null', 'null'],
    ['a list', '[]'],
    ['text', '"a"'],
    ['a number', '1'],
    ['half a surrogate pair in a summary', '{"name":"a","version":"1.0.0","files":[],"summary":"\\ud800"}'],
    [
      'half a surrogate pair in an annotation',
      '{"name":"a","version":"1.0.0","files":[],"annotations":{"a":"\\udc00"}}',
    ],
    [
      'half a surrogate pair as an annotation',
      '{"name":"a","version":"1.0.0","files":[],"annotations":{"\\udc00":1}}',
    ],
    ['a number beyond all numbers', '{"name":"a","version":"1.0.0","files":[],"annotations":{"a":1e400}}'],
  ])('%s', (_, text) => {
    expect(outcomeOf(() => parsedText(text))).toBe(INVALID)
  })

  it.each([
    ['a summary in Latin-1', '{"name":"a","version":"1.0.0","files":[],"summary":"caf\xe9"}'],
    ['a name in Latin-1', '{"name":"caf\xe9","version":"1.0.0","files":[]}'],
    ['a character cut short', '{"name":"a","version":"1.0.0","files":[],"summary":"\xe2\x82"}'],
    ['a surrogate in UTF-8', '{"name":"a","version":"1.0.0","files":[],"summary":"\xed\xa0\x80"}'],
    ['a slash in two bytes', '{"name":"a","version":"1.0.0","files":[],"summary":"\xc0\xaf"}'],
    ['UTF-16', Buffer.from(JSON.stringify(sent()), 'utf16le').toString('latin1')],
  ])('%s is not UTF-8 and is not guessed at', (_, bytes) => {
    expect(outcomeOf(() => parseManifest(Buffer.from(bytes, 'latin1'), semverOrder))).toBe(INVALID)
  })
})

describe('a manifest', () => {
  it('is accepted before anything is changed', () => {
    expect(outcomeOf(() => parsed(sent()))).toBe('accepted')
    expect(outcomeOf(() => parsed(sentFile()))).toBe('accepted')
  })

  it.each(['name', 'version', 'files'])('without %s is refused', (member) => {
    expect(outcomeOf(() => parsed(without(member)))).toBe(INVALID)
  })

  it.each([
    ['an unknown member', { size: 1 }, INVALID],
    ['a member in other letters', { Files: [] }, INVALID],
    ['a name that is no text', { name: 1 }, INVALID],
    ['a name that is null', { name: null }, INVALID],
    ['an empty name', { name: '' }, 'name-invalid'],
    ['a name that goes up', { name: '../a' }, 'name-invalid'],
    ['a name with NUL', { name: 'a\0' }, 'name-invalid'],
    ['a version that is no text', { version: 1 }, INVALID],
    ['a version that is not semver', { version: '1.0' }, 'version-invalid'],
    ['a version with another spelling', { version: 'v1.0.0' }, 'version-invalid'],
    ['a version with build metadata', { version: '1.0.0+1' }, 'version-invalid'],
    ['files that are no list', { files: {} }, INVALID],
    ['files that are null', { files: null }, INVALID],
    ['a summary that is no text', { summary: 1 }, INVALID],
    ['a summary that is null', { summary: null }, INVALID],
    ['dependencies in a list', { dependencies: ['b'] }, INVALID],
    ['dependencies that are null', { dependencies: null }, INVALID],
    ['a dependency with no range', { dependencies: { b: 'newest' } }, INVALID],
    ['a dependency with a number', { dependencies: { b: 1 } }, INVALID],
    ['a dependency with null', { dependencies: { b: null } }, INVALID],
    ['a dependency with no name', { dependencies: { '': '*' } }, 'name-invalid'],
    ['a dependency that goes up', { dependencies: { '../b': '*' } }, 'name-invalid'],
    ['annotations in a list', { annotations: [] }, INVALID],
    ['annotations that are text', { annotations: 'a' }, INVALID],
    ['annotations that are null', { annotations: null }, INVALID],
    ['a time that is a number', { published: 1_795_321_328_000 }, INVALID],
    ['a time that is a day', { published: '2026-11-22' }, INVALID],
    ['a day that there is not', { published: '2026-02-30T00:00:00Z' }, INVALID],
    ['a time with more behind it', { published: '2026-11-22T04:22:08Z\n' }, INVALID],
  ])('with %s is refused', (_, changes, code) => {
    expect(outcomeOf(() => parsed(sent(changes)))).toBe(code)
  })
})

describe('a file of a manifest', () => {
  it.each([
    ['an unknown member', { url: 'x' }],
    ['a path that is no text', { path: 1 }],
    ['no digest', { digest: undefined }],
    ['a digest in bare hex', { digest: DIGEST.slice(7) }],
    ['a digest in capitals', { digest: DIGEST.toUpperCase() }],
    ['no size', { size: undefined }],
    ['a size as text', { size: '3' }],
    ['a negative size', { size: -1 }],
    ['half a byte', { size: 0.5 }],
    ['a size that is null', { size: null }],
    ['a mode as text', { mode: '0644' }],
    ['a negative mode', { mode: -1 }],
    ['half a mode', { mode: 0.5 }],
    ['a mode with a file type', { mode: 0o100644 }],
    ['a mode that is null', { mode: null }],
    ['an os that is no text', { os: ['linux'] }],
    ['a cpu that is no text', { cpu: 64 }],
    ['an os with half a surrogate pair', { os: '\ud800' }],
    ['a media type that is no text', { mediaType: 1 }],
    ['a media type of one word', { mediaType: 'text' }],
    ['an empty media type', { mediaType: '' }],
    ['a media type with nothing after the slash', { mediaType: 'text/' }],
    ['two media types', { mediaType: 'a/b, c/d' }],
    ['a media type with a parameter cut short', { mediaType: 'a/b; c' }],
    ['a media type that ends a line', { mediaType: 'a/b\n' }],
    ['a media type that begins a header', { mediaType: 'a/b;\r\nx-header=1' }],
    ['a media type with a line in a quoted parameter', { mediaType: 'a/b;c="\r\nx: y"' }],
    ['a media type beyond ASCII', { mediaType: 'a/b;c="é"' }],
    ['a media type with NUL', { mediaType: 'a/b;c="\0"' }],
  ])('with %s is refused', (_, changes) => {
    expect(outcomeOf(() => parsed(sentFile(changes)))).toBe(INVALID)
  })

  it.each([
    'text/plain',
    'text/plain; charset=utf-8',
    'text/plain;charset="utf-8"',
    'application/vnd.depot.blobs+zip \t;\ta=b ; c="d, e; f"',
  ])('may have the media type %s, which a header can carry', (mediaType) => {
    expect(outcomeOf(() => parsed(sentFile({ mediaType })))).toBe('accepted')
    expect(() => new Headers({ 'content-type': mediaType })).not.toThrow()
  })

  it.each([null, 'a', 1, [], [['path', 'a']]])('is an object and never %j', (file) => {
    expect(outcomeOf(() => parsed(sent({ files: [file] })))).toBe(INVALID)
  })

  it.each(['', '/a', 'a/', 'a//b', '.', '..', 'a/../b', './a', 'a\\b', 'a\0', 'e\u0301', '\ud800'])(
    'with the path %j is refused',
    (path) => {
      expect(outcomeOfFiles(path)).toBe('path-invalid')
    },
  )
})

describe('files of a manifest', () => {
  it.each([
    [['a', 'a']],
    [['b', 'a', 'b']],
    [['a', 'a/b']],
    [['a/b', 'a']],
    [['a/b', 'a/b/c/d']],
    [['a', 'a!', 'a-', 'a/b']],
    [['__proto__', '__proto__/a']],
  ])('%j clash', (paths) => {
    expect(outcomeOfFiles(...paths)).toBe('path-invalid')
  })

  it.each([[['a', 'ab', 'a!', 'a-']], [['a/b', 'ab', 'a.b']], [['a/b/c', 'a/b0', 'a/c']], [['a', 'A']]])(
    '%j do not clash',
    (paths) => {
      expect(outcomeOfFiles(...paths)).toBe('accepted')
    },
  )

  it('may have the same bytes, and then they have the same size', () => {
    const files = [
      { path: 'a', digest: DIGEST, size: 3 },
      { path: 'b', digest: DIGEST, size: 3 },
    ]
    expect(outcomeOf(() => parsed(sent({ files })))).toBe('accepted')
    expect(outcomeOf(() => parsed(sent({ files: [...files, { path: 'c', digest: DIGEST, size: 4 }] })))).toBe(
      INVALID,
    )
  })
})

/** Nested lists, `depth` deep, below the manifest and `annotations`. */
function nested(depth: number, inner = ''): string {
  return `{"name":"a","version":"1.0.0","files":[],"annotations":{"a":${'['.repeat(depth)}${inner}${']'.repeat(depth)}}}`
}

function dependencies(count: number): unknown {
  return sent({ dependencies: Object.fromEntries(Array.from({ length: count }, (_, at) => [`d${at}`, '*'])) })
}

function annotations(count: number): unknown {
  return sent({ annotations: Object.fromEntries(Array.from({ length: count }, (_, at) => [`a${at}`, at])) })
}

/** Annotations with so many bytes in canonical JSON, however much white space they were sent with. */
function annotationBytes(count: number): unknown {
  return sent({ annotations: { a: 'é'.repeat(4) + 'x'.repeat(count - '{"a":""}'.length - 8) } })
}

describe('the limits', () => {
  it.each([
    ['bytes of a summary', sent({ summary: 'é'.repeat(LIMITS.summaryBytes / 2) })],
    ['bytes of a media type', sentFile({ mediaType: `a/${'b'.repeat(LIMITS.mediaTypeBytes - 2)}` })],
    ['bytes of an os', sentFile({ os: 'x'.repeat(LIMITS.channelNameBytes) })],
    ['the size of a file', sentFile({ size: LIMITS.blobBytes })],
    ['the mode', sentFile({ mode: 0o7777 })],
    ['dependencies', dependencies(LIMITS.manifestDependencies)],
    ['annotations', annotations(LIMITS.annotations)],
    ['bytes of annotations', annotationBytes(LIMITS.annotationBytes)],
    ['bytes of a path', sentFile({ path: 'é'.repeat(LIMITS.pathBytes / 2) })],
    ['bytes of a name', sent({ name: 'é'.repeat(LIMITS.releaseNameBytes / 2) })],
  ])('are reached by %s', (_, value) => {
    expect(outcomeOf(() => parsed(value))).toBe('accepted')
  })

  it.each([
    ['a summary', sent({ summary: `${'é'.repeat(LIMITS.summaryBytes / 2)}x` }), INVALID],
    ['a media type', sentFile({ mediaType: `a/${'b'.repeat(LIMITS.mediaTypeBytes - 1)}` }), INVALID],
    ['an os', sentFile({ os: 'x'.repeat(LIMITS.channelNameBytes + 1) }), INVALID],
    ['the size of a file', sentFile({ size: LIMITS.blobBytes + 1 }), INVALID],
    ['the mode', sentFile({ mode: 0o7777 + 1 }), INVALID],
    ['dependencies', dependencies(LIMITS.manifestDependencies + 1), 'limit-exceeded'],
    ['annotations', annotations(LIMITS.annotations + 1), 'limit-exceeded'],
    ['bytes of annotations', annotationBytes(LIMITS.annotationBytes + 1), 'limit-exceeded'],
    ['bytes of a path', sentFile({ path: `${'é'.repeat(LIMITS.pathBytes / 2)}x` }), 'path-invalid'],
    ['bytes of a name', sent({ name: `${'é'.repeat(LIMITS.releaseNameBytes / 2)}x` }), 'name-invalid'],
  ])('are passed by one more: %s', (_, value, code) => {
    expect(outcomeOf(() => parsed(value))).toBe(code)
  })

  it('count files before they look at them', () => {
    const most = Array.from({ length: LIMITS.manifestFiles }, () => 0)
    expect(outcomeOf(() => parsed(sent({ files: most })))).toBe(INVALID)
    const refusal = refusalOf(() => parsed(sent({ files: [...most, 0] })))
    expect(refusal.code).toBe('limit-exceeded')
    expect(refusal.details).toEqual({ what: 'files of a release', limit: 250_000, found: 250_001 })
  })

  it('count bytes before they read them', () => {
    const refusal = refusalOf(() => parseManifest(Buffer.alloc(LIMITS.manifestBytes + 1), semverOrder))
    expect(refusal.code).toBe('limit-exceeded')
    expect(refusal.details).toEqual({ what: 'bytes of a manifest', limit: 67_108_864, found: 67_108_865 })
  })

  it('count white space among the bytes of a manifest, but not among those of annotations', () => {
    const text = JSON.stringify(annotationBytes(LIMITS.annotationBytes), undefined, 10)
    expect(outcomeOf(() => parsedText(text))).toBe('accepted')
  })
})

describe('the depth of a manifest', () => {
  it('is bounded', () => {
    expect(outcomeOf(() => parsedText(nested(LIMITS.jsonDepth - 2)))).toBe('accepted')
    expect(outcomeOf(() => parsedText(nested(LIMITS.jsonDepth - 1)))).toBe('limit-exceeded')
  })

  it('counts objects as it counts lists', () => {
    const objects = '{"b":'.repeat(LIMITS.jsonDepth) + '0' + '}'.repeat(LIMITS.jsonDepth)
    expect(outcomeOf(() => parsedText(nested(0, objects)))).toBe('limit-exceeded')
  })

  it('does not count brackets in text, nor what stands side by side', () => {
    const text = JSON.stringify(`"\\[[{{${'['.repeat(500)}`)
    const beside = '[{}],'.repeat(500)
    expect(outcomeOf(() => parsedText(nested(1, `${text},${beside}"\\\\",[]`)))).toBe('accepted')
  })

  it('is found out at once, before anything is built of millions of brackets', () => {
    expect(outcomeOf(() => parsedText('['.repeat(8_000_000)))).toBe('limit-exceeded')
    expect(outcomeOf(() => parsedText('{"a":'.repeat(1_000_000)))).toBe('limit-exceeded')
  })

  it('is no matter to text that never ends', () => {
    expect(outcomeOf(() => parsedText(`"${'['.repeat(500)}`))).toBe(INVALID)
    expect(outcomeOf(() => parsedText(`"${'['.repeat(500)}\\`))).toBe(INVALID)
  })
})

describe('a refusal', () => {
  it('is a bounded sentence, whatever was sent', () => {
    const long = 'x'.repeat(1_000_000)
    const refusals = [
      sent({ [long]: 1 }),
      sent({ name: long }),
      sent({ version: long }),
      sent({ dependencies: { b: long } }),
      sent({ dependencies: { [long]: '*' } }),
      sentFile({ path: long }),
      sentFile({ digest: long }),
      sentFile({ mediaType: long }),
      sentFile({ [long]: 1 }),
    ].map((value) => refusalOf(() => parsed(value)))
    for (const { message, details } of refusals)
      expect(message.length + JSON.stringify(details).length).toBeLessThan(1500)
  })

  it('says which file is meant', () => {
    const files = [
      { path: 'good', digest: digestOf('x'), size: 1 },
      { path: 'bin/tool', digest: 'x', size: 1 },
    ]
    expect(refusalOf(() => parsed(sent({ files }))).message).toContain('bin/tool')
  })
})
