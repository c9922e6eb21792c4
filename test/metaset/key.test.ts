/**
 * Keys: text that compares as the UTF-8 bytes of name, NUL, version.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { keyOf, keysOfName, parseKey, partsOfKey } from '../../src/metaset/key.ts'

const text = fc.string({ unit: 'binary', maxLength: 12 }).map((drawn) => drawn.replaceAll('\0', ''))
const pair = fc.tuple(text, text)

describe('a key', () => {
  it('gives back its name and version', () => {
    fc.assert(
      fc.property(pair, ([name, version]) => {
        expect(partsOfKey(keyOf(name, version))).toEqual({ name, version })
      }),
    )
  })

  it('has one character for each byte of UTF-8', () => {
    fc.assert(
      fc.property(pair, ([name, version]) => {
        const bytes = Buffer.from(`${name}\0${version}`)
        expect(Buffer.from(keyOf(name, version), 'latin1').equals(bytes)).toBe(true)
        expect(keyOf(name, version)).toHaveLength(bytes.length)
      }),
    )
  })

  it('is ordered by its bytes, also where UTF-16 orders otherwise', () => {
    const [wide, astral] = ['\uff21', '\u{1f600}'] as [string, string]
    expect(wide > astral).toBe(true)
    expect(keyOf(wide, '1') < keyOf(astral, '1')).toBe(true)
    fc.assert(
      fc.property(pair, pair, (a, b) => {
        const bytes = [a, b].map(([name, version]) => Buffer.from(`${name}\0${version}`)) as [Buffer, Buffer]
        const [left, right] = [keyOf(...a), keyOf(...b)]
        expect(left < right ? -1 : left > right ? 1 : 0).toBe(Buffer.compare(...bytes))
      }),
    )
  })

  it('puts all versions of a name next to each other', () => {
    fc.assert(
      fc.property(pair, text, ([name, version], other) => {
        const { from, until } = keysOfName(name)
        const key = keyOf(name, version)
        expect(from <= key && key < until).toBe(true)
        const stranger = keyOf(other.replaceAll('\u0001', ''), version)
        expect(from <= stranger && stranger < until).toBe(other === name)
      }),
    )
  })

  it('is told from other text when it was stored', () => {
    const key = keyOf('é', '1.0.0')
    expect(parseKey(key)).toBe(key)
    for (const other of ['', 'name', 'a\0b\0c', 'name\u{1f600}\0' + '1'])
      expect(() => parseKey(other)).toThrow('is not a key')
  })
})
