/**
 * Nodes for tests.
 */
import { digestOf } from '../../src/model/digest.ts'
import type { Nodes, PlainNode } from '../../src/pool/pool.ts'
import { someBytes } from './bytes.ts'

export function nodeOf(text: string): PlainNode {
  const bytes = Buffer.from(text)
  return { digest: digestOf(bytes), bytes }
}

/** Like leaves: lines with a digest in each, 1 to 20 KB. */
export function manyNodes(count: number): readonly PlainNode[] {
  return Array.from({ length: count }, (_, at) => {
    const lines = Array.from({ length: 5 + ((at * 7) % 90) }, (_line, line) => {
      const manifest = digestOf(someBytes(8, `${at} ${line}`))
      return JSON.stringify({ name: `package-${at}`, version: `1.${line}.0`, manifest, size: at * line })
    })
    return nodeOf(`${lines.join('\n')}\n`)
  })
}

/** Packs nodes and keeps them, as a commit does. */
export async function writeNodes(
  nodes: Pick<Nodes, 'pack' | 'keep'>,
  plain: readonly PlainNode[],
): Promise<void> {
  await nodes.keep(await nodes.pack(plain), 'commit')
}
