/**
 * Golden roots: sets of releases, made by rule, and the trees that they are for ever. A change that breaks this test
 * changes every depot there is.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { keyHasher, parseSalt, type Salt, SHAPE, startsNode } from '../../src/metaset/boundary.ts'
import { type Key, keyOf } from '../../src/metaset/key.ts'
import { encodeBound, encodeRelease, type Release } from '../../src/metaset/release.ts'
import { EMPTY_TREE, type Tree } from '../../src/metaset/tree.ts'
import { digestOf } from '../../src/model/digest.ts'
import { Forest, nodesOf, sorted } from './memory-nodes.ts'
import { reference } from './reference.ts'

/** One line of `fixtures/metaset/roots.json`. */
interface Golden {
  readonly salt: Salt
  readonly names: 'plain' | 'unicode' | 'wide'
  readonly lines: 'releases' | 'bound'
  readonly count: number
  readonly nodes: number
  readonly tree: Tree
}

const golden = JSON.parse(
  readFileSync(new URL('../../fixtures/metaset/roots.json', import.meta.url), 'utf8'),
) as readonly Golden[]

describe('a golden tree', () => {
  it.each(golden)('of $count $lines with $names names and salt $salt', async (expected) => {
    const { salt, tree, nodes } = expected
    const lines = linesOf(expected)
    expect(lines.size).toBe(expected.count)
    const forest = new Forest(undefined, salt)
    expect(await forest.plant(lines)).toEqual(tree)
    expect((await nodesOf(forest.nodes, tree)).size).toBe(nodes)
    const [some, rest] = [0, 1].map((part) =>
      sorted([...lines].filter((_, at) => (at % 3 === 0) === (part === 0))),
    )
    expect(await forest.edit(await forest.edit(EMPTY_TREE, some!), rest!)).toEqual(tree)
    if (expected.count <= 2_000) expect(reference(lines, salt).tree).toEqual(tree)
  })
})

function linesOf({ salt, names, lines, count }: Omit<Golden, 'nodes' | 'tree'>): Map<Key, Buffer> {
  const hashOf = keyHasher(parseSalt(salt))
  const made = new Map<Key, Buffer>()
  for (let at = 0; made.size < count; at += 1) {
    const release = releaseOf(at, names)
    const key = keyOf(release.name, release.version)
    // Names are wide when no key of theirs starts a leaf: then there is but one run.
    if (names === 'wide' && startsNode(hashOf(key), 1, SHAPE)) continue
    made.set(key, lines === 'releases' ? encodeRelease(release) : encodeBound(release))
  }
  return made
}

function releaseOf(at: number, names: Golden['names']): Release {
  const units = ['a', 'é', '\uff21', '\u{1f600}', 'ß']
  const prefix = names === 'unicode' ? `${units[at % 5]}${units[(at * 3) % 4]}/` : 'package-'
  const release = {
    name: `${prefix}${Math.floor(at / 3)}`,
    version: `${at % 7}.${at % 11}.${at % 3}`,
    manifest: digestOf(`manifest ${at}`),
    size: at * at,
    ...(at % 2 === 0 ? { published: `2026-01-01T00:00:${String(at % 60).padStart(2, '0')}.000Z` } : {}),
    ...(at % 5 === 0 ? {} : { summary: `The "${at}"th, with \t, \\ and \u{1f600}` }),
    ...(at % 50 === 0 ? { status: 'yanked', reason: 'it did not work' } : {}),
  }
  return release as Release
}
