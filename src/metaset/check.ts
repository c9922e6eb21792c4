/**
 * Checking a node that comes from outside, before it is stored: against the digest under which it was asked for, and
 * against what its parent, or the metaset, says of it. What is stored is not checked this way again.
 */
import { isUtf8 } from 'node:buffer'
import { crc32 } from 'node:zlib'
import { isCanonical, type Json } from '../model/canonical.ts'
import { digestOf, isDigest } from '../model/digest.ts'
import { failure } from '../model/errors.ts'
import { SHAPE } from './boundary.ts'
import { type Key, type KeyRange, keyOf } from './key.ts'
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
  if (!isUtf8(bytes)) return 'it is not UTF-8'
  const node = new TreeNode(bytes, expected.level)
  if (node.length > SHAPE.most) return `it has more than ${SHAPE.most} lines`
  if ((node.length === 0) !== (expected.count === 0)) return 'it is empty, or should be'
  const keys: Key[] = []
  for (const line of node.bytes.toString().split('\n').slice(0, -1)) {
    const found = keyOfLine(line, expected.level)
    if (typeof found === 'object') return `line ${keys.length + 1} ${found.fault}`
    keys.push(found)
  }
  return faultOfKeys(keys, within) ?? faultOfExtent(extentOf(node), expected)
}

interface Fault {
  readonly fault: string
}

/** Of a string without escapes. */
const TEXT = '[^"\\\\\\u0000-\\u001f]*'
/**
 * A line of a leaf with the members that `release.ts` writes, in their order and without escapes: it is canonical as it
 * stands. To see that takes a quarter of the time in which a line is parsed, and a replica sees all lines beside one that
 * has changed. What is not of this form may be right all the same.
 */
const USUAL_LINE = new RegExp(
  `^\\{"manifest":"sha256:[0-9a-f]{64}","name":"(${TEXT})"(?:,"published":"${TEXT}")?(?:,"reason":"${TEXT}")?` +
    `(?:,"size":(?:0|[1-9][0-9]{0,14}))?(?:,"status":"${TEXT}")?(?:,"summary":"${TEXT}")?,"version":"(${TEXT})"\\}$`,
)

/** The key of a line that is what it should be. */
function keyOfLine(line: string, level: number): Key | Fault {
  return (level === 1 ? keyOfUsual(line) : undefined) ?? keyOfParsed(line, level)
}

function keyOfUsual(line: string): Key | undefined {
  const [, name, version] = USUAL_LINE.exec(line) ?? []
  return name === undefined || version === undefined ? undefined : keyOf(name, version)
}

function keyOfParsed(line: string, level: number): Key | Fault {
  const value = parse(line)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { fault: 'is no JSON object' }
  const members = value as Members
  const { name, version } = members
  if (!isText(name) || !isText(version)) return { fault: 'has no name or no version' }
  if (!isCanonical(line, members as Json)) return { fault: 'is not canonical JSON' }
  const fault = level === 1 ? undefined : faultOfChild(members, level)
  return fault === undefined ? keyOf(name, version) : { fault }
}

function faultOfChild(members: Members, level: number): string | undefined {
  if (Object.keys(members).join() !== CHILD_MEMBERS) return 'does not have the members of a child'
  if (!isDigest(members['child'])) return 'names its child by no digest'
  if (members['level'] !== level - 1) return 'has a child that is not one level below'
  const { count, bytes, crc32: checksum } = members
  if (!isCount(count) || !isCount(bytes) || count === 0) return 'has a child of no known size'
  return isCount(checksum) && checksum <= 0xffffffff ? undefined : 'has no CRC-32'
}

function faultOfKeys(keys: readonly Key[], { from, until }: KeyRange): string | undefined {
  const [first] = keys
  let last = first
  if (first === undefined || last === undefined) return undefined
  if (from !== undefined && first !== from) return 'it does not begin with the key its parent says'
  for (const [at, key] of keys.entries()) {
    if (at > 0 && last >= key) return `line ${at + 1} is out of order`
    last = key
  }
  return until !== undefined && last >= until ? 'it reaches into the next node' : undefined
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

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
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
