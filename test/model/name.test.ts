/** Names of channels and releases, paths of files: golden vectors, and what they promise to URLs and file systems. */
import { posix, win32 } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/model/limits.ts'
import { clip, compareUtf8, parseChannelName, parseFilePath, parseReleaseName } from '../../src/model/name.ts'
import { fixture, type Refused } from './fixture.ts'
import { outcomeOf, refusalOf } from './refusal.ts'
import { texts } from './texts.ts'

const golden = fixture<{
  channels: string[]
  notChannels: Refused[]
  releases: string[]
  notReleases: Refused[]
  paths: string[]
  notPaths: Refused[]
}>('names.json')

/** Text that comes near to a path: its pieces are what the rules are about. */
const nearPaths = fc.oneof(
  texts,
  fc
    .array(fc.constantFrom('a', 'é', 'e', '\u0301', '.', '..', '/', '\\', '\0', ' ', '\ud800', '%2e', '~'), {
      maxLength: 8,
    })
    .map((pieces) => pieces.join('')),
)

function isAccepted(parse: (text: string) => string, text: string): boolean {
  return outcomeOf(() => parse(text)) === 'accepted'
}

describe('a channel', () => {
  it.each(golden.channels)('may be called %j', (text) => {
    expect(parseChannelName(text)).toBe(text)
  })

  it.each(golden.notChannels)('is not called: $why', ({ text }) => {
    expect(outcomeOf(() => parseChannelName(text))).toBe('name-invalid')
  })

  it('has a name that needs no encoding anywhere', () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom('a', 'z', '0', '9', '.', '_', '-', 'A', '/', '%', '*', ' ', '\0', 'é'),
        }),
        (text) => {
          if (isAccepted(parseChannelName, text)) expect(encodeURIComponent(text)).toBe(text)
        },
      ),
      { numRuns: 1000 },
    )
  })
})

describe('a release', () => {
  it.each(golden.releases)('may be called %j', (text) => {
    expect(parseReleaseName(text)).toBe(text)
  })

  it.each(golden.notReleases)('is not called: $why', ({ text }) => {
    expect(outcomeOf(() => parseReleaseName(text))).toBe('name-invalid')
  })

  it('has a name without NUL, which ends the name in a key of the tree', () => {
    fc.assert(
      fc.property(nearPaths, (text) => {
        if (isAccepted(parseReleaseName, text)) expect(text).not.toContain('\0')
      }),
    )
  })
})

describe('a path in a release', () => {
  it.each(golden.paths)('may be %j', (text) => {
    expect(parseFilePath(text)).toBe(text)
  })

  it.each(golden.notPaths)('is not: $why', ({ text }) => {
    expect(outcomeOf(() => parseFilePath(text))).toBe('path-invalid')
  })

  it('stays below the folder into which the release is put, and where it says', () => {
    fc.assert(
      fc.property(nearPaths, (text) => {
        if (!isAccepted(parseFilePath, text)) return
        expect(posix.join('/to', text)).toBe(`/to/${text}`)
        expect(win32.normalize(`C:\\to\\${text}`).startsWith('C:\\to\\')).toBe(true)
        expect(Buffer.from(text).toString().normalize('NFC')).toBe(text)
        expect(text).toMatch(/^[^\p{Cc}]+$/u)
      }),
      { numRuns: 1000 },
    )
  })

  it('has as many bytes and segments as the limits say, and no more', () => {
    expect(parseFilePath('x'.repeat(LIMITS.pathBytes))).toHaveLength(1024)
    expect(parseReleaseName('x'.repeat(LIMITS.releaseNameBytes))).toHaveLength(214)
    expect(parseChannelName('x'.repeat(LIMITS.channelNameBytes))).toHaveLength(64)
  })
})

describe('the order of UTF-8', () => {
  it('is the order of the bytes, also beyond U+FFFF', () => {
    expect(['\u{1f600}', '\uff21', 'é', 'z', 'a', '', 'ab'].sort(compareUtf8)).toEqual([
      '',
      'a',
      'ab',
      'z',
      'é',
      '\uff21',
      '\u{1f600}',
    ])
  })

  it('is the order of code points', () => {
    fc.assert(
      fc.property(texts, texts, (a, b) => {
        const [one, other] = [Array.from(a, codePoint), Array.from(b, codePoint)]
        const first = one.findIndex((point, at) => point !== other[at])
        const expected = first === -1 ? one.length - other.length : (one[first] ?? 0) - (other[first] ?? -1)
        expect(Math.sign(compareUtf8(a, b))).toBe(Math.sign(expected))
      }),
    )
  })
})

describe('text for a message', () => {
  it('is bounded', () => {
    expect(clip('x'.repeat(120))).toBe('x'.repeat(120))
    expect(clip('x'.repeat(1_000_000))).toBe(`${'x'.repeat(120)}...`)
  })

  it.each([
    ['a channel', parseChannelName],
    ['a release', parseReleaseName],
    ['a path', parseFilePath],
  ])('is bounded in the refusal of %s', (_, parse) => {
    const { message, details } = refusalOf(() => parse('x'.repeat(1_000_000)))
    expect(message.length + JSON.stringify(details).length).toBeLessThan(1000)
  })
})

function codePoint(character: string): number {
  return character.codePointAt(0) ?? -1
}
