/**
 * What every `Nodes` keeps: the promises N1 to N3.
 */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { crc32, gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Digest, digestOf } from '../../src/model/digest.ts'
import type { Nodes, PlainNode } from '../../src/pool/pool.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { listed } from './bytes.ts'
import { manyNodes, nodeOf, writeNodes } from './texts.ts'

export interface NodesAtHand extends AsyncDisposable {
  readonly nodes: Nodes
  restart(): Promise<void>
  /** Changes the deflated bytes that are kept; the nodes may be others afterwards. */
  damage(digest: Digest, change: (deflated: Uint8Array) => Uint8Array): Promise<void>
}

const run = promisify(execFile)
const texts = fc.array(
  fc.oneof(fc.constant(''), fc.string({ maxLength: 300 }), fc.string({ minLength: 3_000 })),
  {
    maxLength: 30,
  },
)

export function everyNodes(name: string, open: () => Promise<NodesAtHand>): void {
  describe(name, () => {
    it('keeps nodes, durable when write returns (N1)', async () => {
      await using hand = await open()
      await fc.assert(
        fc.asyncProperty(texts, async (lines) => {
          const nodes = lines.map(nodeOf)
          await writeNodes(hand.nodes, nodes)
          for (const { digest, bytes } of nodes) {
            expect(hand.nodes.has(digest)).toBe(true)
            const lent = hand.nodes.lent(digest)
            const copy = lent && { ...lent, deflated: Buffer.from(lent.deflated) }
            const segment = hand.nodes.segment(digest)
            expect(copy).toEqual(segment && { ...segment, deflated: Buffer.from(segment.deflated) })
            expect(Buffer.from(await hand.nodes.read(digest)).equals(bytes)).toBe(true)
          }
        }),
        { numRuns: 15, examples: [[[]], [['']], [['', '', 'a', 'a']]] },
      )
      const many = manyNodes(700)
      await writeNodes(hand.nodes, many)
      await hand.restart()
      for (const { digest, bytes } of many)
        expect(Buffer.from(await hand.nodes.read(digest)).equals(bytes)).toBe(true)
    })

    it('keeps nodes that several write at once', async () => {
      await using hand = await open()
      const many = manyNodes(300)
      await Promise.all(
        [many, many.slice(0, 150), many.slice(100), []].map(
          async (part) => await writeNodes(hand.nodes, part),
        ),
      )
      for (const { digest, bytes } of many)
        expect(Buffer.from(await hand.nodes.read(digest)).equals(bytes)).toBe(true)
    })

    it('tells what it has not', async () => {
      await using hand = await open()
      const digest = digestOf('never')
      expect(hand.nodes.has(digest)).toBe(false)
      expect(hand.nodes.segment(digest)).toBeUndefined()
      await expect(hand.nodes.read(digest)).rejects.toMatchObject({ code: 'blob-unavailable' })
    })

    it('refuses a node that is damaged, wherever, until it is written again (N2)', async () => {
      await using hand = await open()
      const [node = nodeOf('')] = manyNodes(1)
      await writeNodes(hand.nodes, [node])
      const length = hand.nodes.segment(node.digest)?.deflated.length ?? 0
      const changes = [
        (deflated: Uint8Array) => deflated.subarray(0, length >> 1),
        (deflated: Uint8Array) => Buffer.concat([deflated, deflated]),
        () => new Uint8Array(),
        ...[0, 7, length >> 1, length - 20].map((at) => (deflated: Uint8Array) => {
          const copy = Buffer.from(deflated)
          copy[at] = (copy[at] ?? 0) ^ 4
          return copy
        }),
      ]
      for (const change of changes) {
        await hand.damage(node.digest, change)
        await expect(hand.nodes.read(node.digest)).rejects.toMatchObject({ code: 'blob-corrupt' })
        await writeNodes(hand.nodes, [node])
        await expect(hand.nodes.read(node.digest)).resolves.toEqual(Buffer.from(node.bytes))
      }
    })

    it('puts segments together to one gzip member, for Node, gzip and curl (N3)', async () => {
      await using hand = await open()
      await using folder = await temporaryFolder()
      for (const nodes of [[], [nodeOf('')], manyNodes(2), [...manyNodes(40), nodeOf(''), ...manyNodes(5)]]) {
        await writeNodes(hand.nodes, nodes)
        const plain = Buffer.concat(nodes.map(({ bytes }) => bytes))
        const gzip = gzipOf(hand.nodes, nodes)
        expect(gunzipSync(gzip).equals(plain)).toBe(true)
        await accepted(folder.path, gzip, plain)
      }
    })

    it('lists everything in the order of digests, from any digest on', async () => {
      await using hand = await open()
      const many = manyNodes(600)
      await writeNodes(hand.nodes, many)
      const stored = many
        .map(({ digest, bytes }) => ({ digest, size: bytes.length }))
        .sort((a, b) => (a.digest < b.digest ? -1 : 1))
      await expect(listed(hand.nodes.list())).resolves.toEqual(stored)
      await expect(listed(hand.nodes.list(stored[299]?.digest))).resolves.toEqual(stored.slice(300))
    })
  })
}

function gzipOf(nodes: Nodes, parts: readonly PlainNode[]): Buffer {
  const plain = Buffer.concat(parts.map(({ bytes }) => bytes))
  const segments = parts.map(({ digest, bytes }) => {
    const segment = nodes.segment(digest)
    expect(segment).toMatchObject({ crc32: crc32(bytes), length: bytes.length })
    return segment?.deflated ?? new Uint8Array()
  })
  const end = Buffer.alloc(10)
  end.writeUInt16BE(0x0300)
  end.writeUInt32LE(crc32(plain), 2)
  end.writeUInt32LE(plain.length, 6)
  return Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]), ...segments, end])
}

/** By programs that are there; a machine without them has shown it with `gunzipSync` all the same. */
async function accepted(folder: string, gzip: Buffer, plain: Buffer): Promise<void> {
  const path = join(folder, 'catalog.gz')
  await writeFile(path, gzip)
  const { stdout } = await run('gzip', ['-dc', path], { encoding: 'buffer', maxBuffer: 1e8 }).catch(
    unlessAbsent(plain),
  )
  expect(stdout.equals(plain)).toBe(true)
  // curl inflates only what a server sends.
  const { createServer } = await import('node:http')
  const server = createServer((_request, reply) => void reply.setHeader('content-encoding', 'gzip').end(gzip))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const { port } = server.address() as { port: number }
    const got = await run('curl', ['-sS', '--compressed', `http://127.0.0.1:${port}/`], {
      encoding: 'buffer',
      maxBuffer: 1e8,
    }).catch(unlessAbsent(plain))
    expect(got.stdout.equals(plain)).toBe(true)
  } finally {
    server.close()
  }
}

function unlessAbsent(plain: Buffer): (error: NodeJS.ErrnoException) => { stdout: Buffer } {
  return (error) => {
    if (error.code !== 'ENOENT') throw error
    return { stdout: plain }
  }
}
