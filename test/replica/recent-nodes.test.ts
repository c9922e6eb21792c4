/** Nodes that a copy has brought, and those that it has not. */
import { expect, it } from 'vitest'
import { type NodeReader, TreeNode } from '../../src/metaset/node.ts'
import { type Digest, digestOf } from '../../src/model/digest.ts'
import { RecentNodes } from '../../src/replica/recent-nodes.ts'

const LINE = '{"name":"a","version":"1.0.0"}\n'

function nodeOf(text: string): readonly [Digest, TreeNode] {
  const bytes = Buffer.from(text)
  return [digestOf(bytes), new TreeNode(bytes, 1)]
}

it('gives what it was given, as long as there is room, and has all others read', async () => {
  const asked: Digest[] = []
  const [stored, other] = [nodeOf(LINE), nodeOf(LINE.replace('a', 'b'))]
  const reader: NodeReader = {
    node: (digest) => {
      asked.push(digest)
      return stored[1]
    },
  }
  const recent = new RecentNodes(reader, 2 * LINE.length - 1)
  recent.add(...other)
  // There is no room for a second one.
  recent.add(...nodeOf(LINE.replace('a', 'c')))
  expect(await recent.node(other[0], 1)).toBe(other[1])
  expect(asked).toEqual([])
  expect(await recent.node(stored[0], 1)).toBe(stored[1])
  const [third] = nodeOf(LINE.replace('a', 'c'))
  await recent.node(third, 1)
  expect(asked).toEqual([stored[0], third])
})
