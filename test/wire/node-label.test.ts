/** What `Depot-Node` says, and which ids a node may have. */
import { describe, expect, it } from 'vitest'
import { encodeNodeLabel, type NodeLabel, NodeLabels, parseNodeId } from '../../src/wire/node-label.ts'
import { outcomeOf } from '../model/refusal.ts'

describe('a node', () => {
  it('is shown with its role, its state and its age', () => {
    expect(encodeNodeLabel({ id: 'r2', role: 'replica', state: 'fresh', ageSeconds: 0.4321 })).toBe(
      'r2;role=replica;state=fresh;age=0.4',
    )
    expect(encodeNodeLabel({ id: 'o', role: 'origin', state: 'drain', ageSeconds: 0 })).toBe(
      'o;role=origin;state=drain;age=0',
    )
    expect(
      encodeNodeLabel({ id: 'r2', role: 'replica', state: 'cut', ageSeconds: 6, why: 'node-id-taken' }),
    ).toBe('r2;role=replica;state=cut;age=6;why=node-id-taken')
  })

  it('is shown as it is at every moment, whatever was said before', () => {
    const labels = new NodeLabels()
    const first: NodeLabel = { id: 'r2', role: 'replica', state: 'fresh', ageSeconds: 0.42 }
    const moments: readonly NodeLabel[] = [
      first,
      { ...first, ageSeconds: 0.38 },
      { ...first, ageSeconds: 0.46 },
      { ...first, state: 'cut' },
      { ...first, why: 'node-id-taken' },
      { ...first, id: 'r3' },
      { ...first, role: 'edge' },
      first,
    ]
    for (const label of moments) expect(labels.textOf(label)).toBe(encodeNodeLabel(label))
  })

  it.each(['r', 'r2', '0', 'node-1.example_2', 'r'.repeat(64)])('may be called %s', (id) => {
    expect(parseNodeId(id)).toBe(id)
  })

  it.each(['', 'R', '-r', 'r-', '.', 'a b', 'a;b', 'a/b', 'a\r\nb', 'é', 'r'.repeat(65)])(
    'may not be called %j',
    (id) => {
      expect(outcomeOf(() => parseNodeId(id))).toBe('bad-request')
    },
  )
})
