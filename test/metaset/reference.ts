/**
 * The tree of a set of lines, written down a second time as plainly as DESIGN §3 says it: everything at once, nothing
 * shared, nothing clever. What `edit` makes must be this, however it came there.
 */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { type Salt, SHAPE, type Shape } from '../../src/metaset/boundary.ts'
import { type Key, partsOfKey } from '../../src/metaset/key.ts'
import type { Tree } from '../../src/metaset/tree.ts'
import { canonicalText } from '../../src/model/canonical.ts'
import { type Digest, digestOf } from '../../src/model/digest.ts'

/** A line of some level, and the leaves below it. */
interface Line {
  readonly key: Key
  readonly line: Buffer
  readonly catalog: Buffer
  readonly count: number
}

export interface Reference {
  readonly tree: Tree
  readonly nodes: ReadonlyMap<Digest, Buffer>
}

export function reference(lines: ReadonlyMap<Key, Buffer>, salt: Salt, shape: Shape = SHAPE): Reference {
  const nodes = new Map<Digest, Buffer>()
  let level = 1
  let below: readonly Line[] = [...lines]
    .sort(([a], [b]) => Buffer.compare(Buffer.from(a, 'latin1'), Buffer.from(b, 'latin1')))
    .map(([key, line]) => ({ key, line, catalog: line, count: 1 }))
  for (;;) {
    const parts = partsOf(below, { salt, shape, level })
    const made = parts.map((part) => {
      const bytes = Buffer.concat(part.map(({ line }) => line))
      const catalog = Buffer.concat(part.map((line) => line.catalog))
      const count = part.reduce((sum, line) => sum + line.count, 0)
      const tree = { root: digestOf(bytes), level, count, bytes: catalog.length, crc32: crc32(catalog) }
      nodes.set(tree.root, bytes)
      return { key: part[0]?.key, tree, catalog }
    })
    const [only] = made
    if (made.length === 1 && only !== undefined) return { tree: only.tree, nodes }
    below = made.map(({ key = '' as Key, tree, catalog }) => {
      const { root: child, ...rest } = tree
      const line = Buffer.from(`${canonicalText({ ...partsOfKey(key), child, ...rest })}\n`)
      return { key, line, catalog, count: tree.count }
    })
    level += 1
  }
}

interface Rule {
  readonly salt: Salt
  readonly shape: Shape
  readonly level: number
}

function partsOf(lines: readonly Line[], rule: Rule): readonly (readonly Line[])[] {
  const runs: Line[][] = [[]]
  for (const line of lines) {
    const zeros = /^0*/.exec(bitsOf(line.key, rule.salt))?.[0].length ?? 0
    if (zeros >= rule.level * rule.shape.bits && runs.at(-1)?.length !== 0) runs.push([])
    runs.at(-1)?.push(line)
  }
  return runs.flatMap((run) => cut(run, rule))
}

function cut(run: readonly Line[], rule: Rule): readonly (readonly Line[])[] {
  if (run.length <= rule.shape.most) return [run]
  const quarter = Math.floor(run.length / 4)
  const middle = run.slice(Math.max(1, quarter), run.length - quarter)
  const [least] = middle.toSorted((a, b) => (bitsOf(a.key, rule.salt) < bitsOf(b.key, rule.salt) ? -1 : 1))
  const at = run.findIndex((line) => line === least)
  return [...cut(run.slice(0, at), rule), ...cut(run.slice(at), rule)]
}

/** Hashes take most of the time, and the same keys come again and again. */
const known = new Map<string, string>()

function bitsOf(key: Key, salt: Salt): string {
  const bits = known.get(salt + key) ?? hashBits(key, salt)
  known.set(salt + key, bits)
  return bits
}

function hashBits(key: Key, salt: Salt): string {
  const hash = createHash('sha256')
    .update(Buffer.from(salt, 'hex'))
    .update('\0')
    .update(key, 'latin1')
    .digest()
  return [...hash].map((byte) => byte.toString(2).padStart(8, '0')).join('')
}
