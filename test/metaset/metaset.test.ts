/**
 * The metaset document: one spelling, and nothing in it that is not known.
 */
import { describe, expect, it } from 'vitest'
import {
  channelIn,
  decodeMetaset,
  emptyChannel,
  emptyMetaset,
  encodeMetaset,
  type Metaset,
} from '../../src/metaset/metaset.ts'
import { canonicalBytes, type Json } from '../../src/model/canonical.ts'
import { digestOf } from '../../src/model/digest.ts'
import { isFailure } from '../../src/model/errors.ts'
import { SALT } from './memory-nodes.ts'

const TREE = { root: digestOf('a'), level: 2, count: 5, bytes: 500, crc32: 0xffffffff }
const FULL: Metaset = {
  v: 1,
  salt: SALT,
  channels: {
    unstable: { ...emptyChannel('semver'), releases: TREE },
    stable: { format: 'ips', settings: { frozen: true, dropped: true }, releases: TREE, bound: TREE },
  },
}

describe('a metaset', () => {
  it.each([emptyMetaset(SALT), FULL])('comes back as it was encoded', (metaset) => {
    expect(decodeMetaset(encodeMetaset(metaset))).toEqual(metaset)
  })

  it('has one digest, whatever the order in which it was put together', () => {
    const { unstable, stable } = FULL.channels
    const turned = { channels: { stable, unstable }, salt: SALT, v: 1 } as Metaset
    expect(encodeMetaset(turned)).toEqual(encodeMetaset(FULL))
  })

  it('has channels by any name that is one, and by no other that objects have members of', () => {
    const constructed: Metaset = { ...FULL, channels: { constructor: emptyChannel('semver') } }
    expect(channelIn(decodeMetaset(encodeMetaset(constructed)), 'constructor')).toEqual(
      emptyChannel('semver'),
    )
    for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty'])
      expect(channelIn(FULL, name)).toBeUndefined()
  })

  it('is these bytes when it is empty', () => {
    expect(encodeMetaset(emptyMetaset(SALT)).toString()).toBe(`{"channels":{},"salt":"${SALT}","v":1}`)
  })

  const channel = { ...FULL.channels['unstable'] }
  it.each<readonly [what: string, value: unknown]>([
    ['no object', []],
    ['another version', { ...FULL, v: 2 }],
    ['a member that is not known', { ...FULL, views: {} }],
    ['no salt', { v: 1, channels: {} }],
    ['a salt that is none', { ...FULL, salt: 'abc' }],
    ['no channels', { v: 1, salt: SALT }],
    ['a channel that would be the prototype of all', { ...FULL, channels: { ['__proto__']: channel } }],
    ['a channel name that is none', { ...FULL, channels: { 'Not a channel': channel } }],
    ['a channel with a member that is not known', { ...FULL, channels: { a: { ...channel, views: {} } } }],
    ['a channel without a format', { ...FULL, channels: { a: { ...channel, format: undefined } } }],
    ['a setting that is not known', { ...FULL, channels: { a: { ...channel, settings: { cold: true } } } }],
    ['a setting that is not true', { ...FULL, channels: { a: { ...channel, settings: { frozen: false } } } }],
    ['a channel without a tree', { ...FULL, channels: { a: { ...channel, bound: undefined } } }],
    ['a root that is no digest', { ...FULL, channels: { a: { ...channel, bound: { ...TREE, root: 'x' } } } }],
    ['a level that is none', { ...FULL, channels: { a: { ...channel, bound: { ...TREE, level: 0 } } } }],
    ['a count that is none', { ...FULL, channels: { a: { ...channel, bound: { ...TREE, count: -1 } } } }],
    [
      'a checksum that is none',
      { ...FULL, channels: { a: { ...channel, bound: { ...TREE, crc32: 2 ** 32 } } } },
    ],
    ['an empty tree with a root', { ...FULL, channels: { a: { ...channel, bound: { ...TREE, count: 0 } } } }],
  ])('is refused when it has %s', (_, value) => {
    expect(refusalOf(canonicalBytes(value as Json))).toMatch(/bad-request|name-invalid/)
  })

  it('is refused when it is not canonical, or not JSON', () => {
    const text = encodeMetaset(FULL).toString()
    for (const other of [
      ` ${text}`,
      `${text}\n`,
      text.slice(1),
      '',
      text.replace('"count":5', '"count":5.0'),
    ])
      expect(refusalOf(Buffer.from(other))).toMatch(/bad-request|name-invalid/)
  })
})

function refusalOf(bytes: Buffer): string | undefined {
  try {
    decodeMetaset(bytes)
    return undefined
  } catch (error) {
    if (isFailure(error)) return error.code
    throw error
  }
}
