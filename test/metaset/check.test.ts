/**
 * A node from outside is what its parent says, or is refused.
 */

import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { decodeNode } from '../../src/metaset/check.ts'
import { Cursor } from '../../src/metaset/cursor.ts'
import { type Key, keyOf } from '../../src/metaset/key.ts'
import { EMPTY_TREE, lineOfChild, type Tree } from '../../src/metaset/tree.ts'
import { digestOf } from '../../src/model/digest.ts'
import { isFailure } from '../../src/model/errors.ts'
import { entry, Forest, numbered } from './memory-nodes.ts'

describe('a node from outside', () => {
  it('is taken when it is what its parent says, down to every leaf', async () => {
    const forest = new Forest()
    const tree = await forest.plant(new Map(numbered(6_000)))
    const cursor = new Cursor(forest.nodes, tree)
    let checked = 0
    while (!cursor.ended) {
      const { tree: expected, key, keyBehind } = cursor
      const within = key === '' ? {} : { from: key, ...(keyBehind === undefined ? {} : { until: keyBehind }) }
      const bytes = forest.nodes.bytes.get(expected.root)!
      expect(decodeNode(bytes, expected, within).bytes).toEqual(bytes)
      checked += 1
      if (cursor.level > 1) await cursor.open()
      else cursor.advance()
    }
    expect(checked).toBe(forest.nodes.added.length)
    expect(decodeNode(Buffer.alloc(0), EMPTY_TREE).length).toBe(0)
  })

  const A_DIGEST = digestOf('a')
  const [a, b] = [entry('a', '1.0.0'), entry('b', '1.0.0')] as const
  const [first, second] = [a[1].toString(), b[1].toString()]
  it.each<readonly [what: string, text: string]>([
    ['lines out of order', `${second}${first}`],
    ['a line twice', `${first}${first}`],
    ['a last line without an end', `${first}${second}`.slice(0, -1)],
    ['an empty line', `${first}\n${second}`],
    ['a line that is not JSON', `${first}nonsense\n`],
    ['a line that is no object', `${first}["b"]\n`],
    ['a line without a version', `${first}{"name":"b"}\n`],
    ['a name with a NUL', `${first}{"name":"b\\u0000","version":"1"}\n`],
    ['a line that is not canonical', `${first}{"version":"1.0.0", "name":"b"}\n`],
    ['members in another order', `${first}{"version":"1.0.0","name":"b"}\n`],
    ['usual members in another order', `${first}{"name":"b","manifest":"${A_DIGEST}","version":"1.0.0"}\n`],
    ['a member twice', `${first}{"manifest":"${A_DIGEST}","name":"a","name":"b","version":"1.0.0"}\n`],
    ['a number with a point', `${first}{"manifest":"${A_DIGEST}","name":"b","size":1.0,"version":"1.0.0"}\n`],
    [
      'a number that begins with 0',
      `${first}{"manifest":"${A_DIGEST}","name":"b","size":07,"version":"1.0.0"}\n`,
    ],
    ['an escape that need not be', `${first}{"manifest":"${A_DIGEST}","name":"\\u0062","version":"1.0.0"}\n`],
    ['half a surrogate pair', `${first}{"manifest":"${A_DIGEST}","name":"b\\ud800","version":"1.0.0"}\n`],
    [
      'something behind the last member',
      `${first}{"manifest":"${A_DIGEST}","name":"b","version":"1.0.0"} \n`,
    ],
    ['a tab in a name', `${first}{"manifest":"${A_DIGEST}","name":"b\t","version":"1.0.0"}\n`],
    ['no line', ''],
    ['a line too few', first],
    [
      'more lines than a node may have',
      numbered(513)
        .map(([, line]) => line.toString())
        .join(''),
    ],
  ])('is refused when it is a leaf with %s', (_, text) => {
    const bytes = Buffer.from(text)
    expect(refusalOf(bytes, { ...leafOf(bytes), count: 2 })).toBe('blob-corrupt')
  })

  it.each([
    '{"manifest":"sha256:abc","name":"b","version":"1"}',
    '{"manifest":"DIGEST","name":"ä😀","published":"2026","size":0,"summary":"x","version":"1"}',
    '{"a":null,"b":[{"c":1}],"name":"b","version":"1"}',
    '{"manifest":"DIGEST","name":"b","summary":"\\"\\\\ud\\n","version":"1"}',
    '{"manifest":"DIGEST","name":"b","status":"new","version":"1","x":-1e-7}',
  ])('is taken when it is canonical, whatever stands in it: %s', (text) => {
    const bytes = Buffer.from(`${text.replace('DIGEST', A_DIGEST)}\n`)
    const node = decodeNode(bytes, leafOf(bytes))
    const { name, version } = JSON.parse(bytes.toString()) as { name: string; version: string }
    expect(node.key(0)).toBe(keyOf(name, version))
    const within = { from: keyOf(name, version), until: keyOf(name, `${version}0`) }
    expect(() => decodeNode(bytes, leafOf(bytes), within)).not.toThrow()
  })

  it('is refused when it is not UTF-8', () => {
    const bytes = Buffer.from('{"name":"\xff","version":"1"}\n', 'latin1')
    expect(refusalOf(bytes, leafOf(bytes))).toBe('blob-corrupt')
  })

  it('is refused when count, length or checksum are other than its parent says', () => {
    const bytes = Buffer.concat([a[1], b[1]])
    const leaf = leafOf(bytes)
    expect(refusalOf(bytes, leaf)).toBeUndefined()
    for (const wrong of [{ count: 3 }, { bytes: 1 }, { crc32: 1 }])
      expect(refusalOf(bytes, { ...leaf, ...wrong })).toBe('blob-corrupt')
    expect(refusalOf(bytes, { ...leaf, root: digestOf('other') })).toBe('digest-mismatch')
  })

  it('is refused when its keys do not lie where its parent says', () => {
    const bytes = Buffer.concat([a[1], b[1]])
    const decode = (from: Key, until: Key): unknown => decodeNode(bytes, leafOf(bytes), { from, until })
    expect(decode(a[0], keyOf('b', '2'))).toBeDefined()
    expect(() => decode(a[0], b[0])).toThrow('reaches into the next node')
    expect(() => decode(keyOf('', ''), keyOf('c', '1'))).toThrow('does not begin with the key')
  })

  it.each<readonly [what: string, wrong: object]>([
    ['that is not one level below', { level: 2 }],
    ['without a digest', { root: 'sha256:abc' }],
    ['of nothing', { count: 0 }],
    ['of an unknown length', { bytes: 1.5 }],
    ['with a checksum that is none', { crc32: 2 ** 32 }],
    ['of another length', { bytes: 77 }],
    ['of another checksum', { crc32: 77 }],
  ])('is refused when it is an inner node with a child %s', (_, wrong) => {
    const leaf = leafOf(a[1])
    const right = lineOfChild(a[0], leaf)
    expect(refusalOf(right, { ...leaf, level: 2, root: digestOf(right) })).toBeUndefined()
    const line = lineOfChild(a[0], { ...leaf, ...wrong })
    expect(refusalOf(line, { ...leaf, level: 2, root: digestOf(line) })).toBe('blob-corrupt')
  })

  it('is refused when it is a leaf where an inner node should be', () => {
    const leaf = leafOf(a[1])
    expect(refusalOf(a[1], { ...leaf, level: 2 })).toBe('blob-corrupt')
  })
})

function leafOf(bytes: Buffer): Tree {
  const count = bytes.toString('latin1').split('\n').length - 1
  return { root: digestOf(bytes), level: 1, count, bytes: bytes.length, crc32: crc32(bytes) }
}

function refusalOf(bytes: Buffer, expected: Tree): string | undefined {
  try {
    decodeNode(bytes, expected)
    return undefined
  } catch (error) {
    if (isFailure(error)) return error.code
    throw error
  }
}
