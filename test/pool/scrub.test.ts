/**
 * A scrub finds every damage there is, and nothing else.
 */
import { describe, expect, it } from 'vitest'
import { type Digest, digestOf } from '../../src/model/digest.ts'
import { MemoryNodes, MemoryPool } from '../../src/pool/memory-pool.ts'
import { type ScrubFinding, scrub } from '../../src/pool/scrub.ts'
import { encodeSegment, segmentOf } from '../../src/pool/segment.ts'
import { realClock } from '../support/real-world.ts'
import { digestsOf, listed, someBytes } from './bytes.ts'
import { flipped, StoreAtHand } from './disk-store.ts'
import { manyNodes, writeNodes } from './texts.ts'

const SMALL = Array.from({ length: 5 }, (_, at) => someBytes(100 + at))
const LARGE = Array.from({ length: 5 }, (_, at) => someBytes(2_100_000 + at))
const NODES = manyNodes(5)

async function filled(): Promise<StoreAtHand> {
  const hand = await StoreAtHand.open()
  await hand.pool.putAll(SMALL)
  for (const bytes of LARGE) await hand.pool.put(bytes)
  await writeNodes(hand.store.nodes, NODES)
  return hand
}

function damagedIn(findings: readonly ScrubFinding[]): readonly Digest[] {
  return findings.flatMap((finding) => (finding.kind === 'damaged' ? [finding.digest] : []))
}

describe('a scrub', () => {
  it('of what is sound tells how much that is', async () => {
    await using hand = await filled()
    const bytes = [...SMALL, ...LARGE, ...NODES.map((node) => node.bytes)].reduce(
      (sum, { length }) => sum + length,
      0,
    )
    const findings = await listed(scrub(hand.store, { clock: realClock }))
    expect(findings).toEqual([{ kind: 'done', checked: 15, bytes, damaged: 0 }])
  })

  it('finds each damaged blob and node', async () => {
    await using hand = await filled()
    const small = digestsOf(...SMALL)
    const large = digestsOf(...LARGE)
    await hand.damage(small[1]!, 'flip')
    await hand.damage(large[0]!, 'flip')
    await hand.damage(large[2]!, 'cut')
    await hand.damage(large[4]!, 'lose')
    await hand.damageRow('nodes', NODES[2]!.digest, (row) => flipped(row, row.length - 30))
    await hand.damageRow('nodes', NODES[3]!.digest, (row) => row.subarray(0, 3))
    const findings = await listed(scrub(hand.store, { clock: realClock }))
    const damaged = [small[1], large[0], large[2], large[4], NODES[2]?.digest, NODES[3]?.digest]
    expect(new Set(damagedIn(findings))).toEqual(new Set(damaged))
    expect(findings.at(-1)).toMatchObject({ kind: 'done', checked: 15, damaged: 6 })
    for (const bytes of [...SMALL, ...LARGE]) await hand.pool.put(bytes)
    await writeNodes(hand.store.nodes, NODES)
    expect(damagedIn(await listed(scrub(hand.store, { clock: realClock })))).toEqual([])
  })

  it('finds a node that is sound in itself and another than its name says', async () => {
    const [one, other] = [NODES[0]!, NODES[1]!]
    const nodes = new MemoryNodes(new Map([[one.digest, encodeSegment(other.bytes)]]))
    const findings = await listed(scrub({ pool: new MemoryPool(), nodes }, { clock: realClock }))
    expect(damagedIn(findings)).toEqual([one.digest])
    await expect(nodes.read(one.digest)).resolves.toEqual(Buffer.from(other.bytes))
    expect(segmentOf(other.bytes, new Uint8Array()).length).toBe(other.bytes.length)
  })

  it('tells its progress', async () => {
    const kept = new Map(
      Array.from({ length: 2_500 }, (_, at) => [digestOf(String(at)), Buffer.from(String(at))]),
    )
    const findings = await listed(
      scrub({ pool: new MemoryPool(kept), nodes: new MemoryNodes() }, { clock: realClock }),
    )
    expect(findings.map((finding) => finding.kind)).toEqual(['progress', 'progress', 'done'])
    expect(findings[1]).toMatchObject({ checked: 2_000 })
  })

  it('passes over what is removed while it goes on', async () => {
    await using hand = await filled()
    const findings: ScrubFinding[] = []
    const all = scrub(
      { pool: { open: removing(hand), list: () => hand.pool.list() }, nodes: hand.store.nodes },
      { clock: realClock },
    )
    for await (const finding of all) findings.push(finding)
    expect(damagedIn(findings)).toEqual([])
  })

  it('stops when it is told to', async () => {
    await using hand = await filled()
    const stop = new AbortController()
    stop.abort(new Error('enough'))
    await expect(listed(scrub(hand.store, { clock: realClock, signal: stop.signal }))).rejects.toThrow(
      'enough',
    )
  })
})

/** Opens a blob, and removes it before anybody has read it. */
function removing({ pool }: StoreAtHand): typeof pool.open {
  return async (digest) => {
    const blob = await pool.open(digest)
    await pool.remove([digest])
    return blob
  }
}
