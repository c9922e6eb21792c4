/**
 * Checking a node that comes from outside, before it is stored: against the digest under which it was asked for, and
 * against what its parent, or the metaset, says of it. What is stored is not checked this way again.
 */
import { crc32 } from 'node:zlib'
import { canonicalText, type Json } from '../model/canonical.ts'
import { digestOf, isDigest } from '../model/digest.ts'
import { failure } from '../model/errors.ts'
import { SHAPE } from './boundary.ts'
import type { KeyRange } from './key.ts'
import { TreeNode } from './node.ts'
import { EMPTY_EXTENT, type Extent, joinExtents, type Tree } from './tree.ts'

type Members = Readonly<Record<string, unknown>>

const NEWLINE = 0x0a
const CHILD_MEMBERS = ['bytes', 'child', 'count', 'crc32', 'level', 'name', 'version'].join()

/**
 * The node that `expected` is the root of, whose keys lie `within` and begin with `from`. Fails with
 * `digest-mismatch`, or with `blob-corrupt` when the bytes are not such a node.
 */
export function decodeNode(bytes: Uint8Array, expected: Tree, within: KeyRange = {}): TreeNode {
  const found = digestOf(bytes)
  if (found !== expected.root) throw failure('digest-mismatch', { expected: expected.root, found })
  const reason = faultOf(bytes, expected, within)
  if (reason !== undefined) throw failure('blob-corrupt', { digest: found, reason })
  return new TreeNode(bytes, expected.level)
}

function faultOf(bytes: Uint8Array, expected: Tree, within: KeyRange): string | undefined {
  if (bytes.length > 0 && bytes.at(-1) !== NEWLINE) return 'its last line has no end'
  const node = new TreeNode(bytes, expected.level)
  if (node.length > SHAPE.most) return `it has more than ${SHAPE.most} lines`
  if ((node.length === 0) !== (expected.count === 0)) return 'it is empty, or should be'
  for (let at = 0; at < node.length; at += 1) {
    const reason = faultOfLine(node.line(at), expected.level)
    if (reason !== undefined) return `line ${at + 1} ${reason}`
  }
  return faultOfKeys(node, within) ?? faultOfExtent(extentOf(node), expected)
}

function faultOfLine(line: Buffer, level: number): string | undefined {
  const value = parse(line)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'is no JSON object'
  const members = value as Members
  if (!isText(members['name']) || !isText(members['version'])) return 'has no name or no version'
  if (!line.equals(Buffer.from(`${canonicalText(members as Json)}\n`))) return 'is not canonical JSON'
  return level === 1 ? undefined : faultOfChild(members, level)
}

function faultOfChild(members: Members, level: number): string | undefined {
  if (Object.keys(members).join() !== CHILD_MEMBERS) return 'does not have the members of a child'
  if (!isDigest(members['child'])) return 'names its child by no digest'
  if (members['level'] !== level - 1) return 'has a child that is not one level below'
  const { count, bytes, crc32: checksum } = members
  if (!isCount(count) || !isCount(bytes) || count === 0) return 'has a child of no known size'
  return isCount(checksum) && checksum <= 0xffffffff ? undefined : 'has no CRC-32'
}

function faultOfKeys(node: TreeNode, { from, until }: KeyRange): string | undefined {
  for (let at = 1; at < node.length; at += 1)
    if (node.key(at - 1) >= node.key(at)) return `line ${at + 1} is out of order`
  if (node.length === 0) return undefined
  if (from !== undefined && node.key(0) !== from) return 'it does not begin with the key its parent says'
  if (until !== undefined && node.key(node.length - 1) >= until) return 'it reaches into the next node'
  return undefined
}

function faultOfExtent(found: Extent, expected: Extent): string | undefined {
  const fits =
    found.count === expected.count && found.bytes === expected.bytes && found.crc32 === expected.crc32
  return fits ? undefined : 'count, length or CRC-32 are not what its parent says'
}

function extentOf(node: TreeNode): Extent {
  if (node.level === 1) return { count: node.length, bytes: node.bytes.length, crc32: crc32(node.bytes) }
  let extent = EMPTY_EXTENT
  for (let at = 0; at < node.length; at += 1) extent = joinExtents(extent, node.child(at))
  return extent
}

function parse(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString())
  } catch {
    return undefined
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && !value.includes('\0')
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
