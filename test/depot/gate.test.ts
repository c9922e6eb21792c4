/**
 * The decision table of PROTOCOL §5, cell by cell, and what must hold for every cell of it.
 */
import { describe, expect, it } from 'vitest'
import {
  type FloorHere,
  type NodeMode,
  type NodeState,
  type PinHere,
  type Plan,
  planFor,
  type Question,
  type Unsure,
} from '../../src/depot/gate.ts'

const MODES: readonly NodeMode[] = ['fresh', 'fenced', 'lag', 'cut', 'boot', 'diverged']
const FLOORS: readonly FloorHere[] = ['none', 'met', 'announced', 'unannounced', 'head', 'lost', 'foreign']
const PINS: readonly PinHere[] = ['here', 'sealed', 'away', 'unannounced', 'lost', 'foreign', 'retired']

const QUESTIONS: readonly Question[] = [
  ...FLOORS.map((floor): Question => ({ kind: 'entry', floor })),
  ...PINS.map((pin): Question => ({ kind: 'pinned', pin })),
  ...[true, false].flatMap((isHere): readonly Question[] => [
    { kind: 'versioned', isHere },
    { kind: 'object', isHere },
  ]),
  { kind: 'staging' },
  { kind: 'write' },
  { kind: 'word' },
]

const STATES: readonly NodeState[] = MODES.flatMap((mode) =>
  [true, false].flatMap((isDraining) =>
    (['refuse', 'serve'] as const).flatMap((whenCut) =>
      [true, false].map((isOrigin): NodeState => ({ mode, isDraining, whenCut, isOrigin })),
    ),
  ),
)

function stateOf(mode: NodeMode, more: Partial<NodeState> = {}): NodeState {
  return { mode, isDraining: false, whenCut: 'refuse', isOrigin: false, ...more }
}

/** `hold, relay-origin, 503 generation-behind` and the like. */
function shown(plan: Plan): string {
  return plan.map((step) => (typeof step === 'string' ? step : `no ${step.refuse}`)).join(', ')
}

const HOLD = 'hold, no generation-behind'
const AFTER = 'redirect, no generation-behind'

/** fresh, fenced, lag, cut, boot, diverged: the columns of the protocol without DRAIN, which is a state beside them. */
const TABLE: readonly (readonly [Question, readonly string[]])[] = [
  [
    { kind: 'entry', floor: 'none' },
    ['serve', HOLD, `relay-origin, hold, ${AFTER}`, 'no head-unconfirmed', 'no booting', 'serve'],
  ],
  [
    { kind: 'entry', floor: 'met' },
    ['serve', HOLD, `relay-origin, hold, ${AFTER}`, 'no head-unconfirmed', 'no booting', 'serve'],
  ],
  [
    { kind: 'entry', floor: 'announced' },
    [
      `hold, relay-origin, ${AFTER}`,
      HOLD,
      `relay-origin, hold, ${AFTER}`,
      'hold, no origin-unreachable',
      'no booting',
      'no generation-behind',
    ],
  ],
  [
    { kind: 'entry', floor: 'unannounced' },
    [
      'confirm, no generation-unknown',
      'confirm, no generation-unknown',
      'confirm, no generation-unknown',
      'no origin-unreachable',
      'no booting',
      'no generation-behind',
    ],
  ],
  [
    { kind: 'entry', floor: 'head' },
    [
      'confirm, serve',
      HOLD,
      `relay-origin, hold, ${AFTER}`,
      'no origin-unreachable',
      'no booting',
      'no head-unconfirmed',
    ],
  ],
  [
    { kind: 'entry', floor: 'lost' },
    [
      'no generation-lost',
      'no generation-lost',
      'no generation-lost',
      'no generation-lost',
      'no booting',
      'no head-unconfirmed',
    ],
  ],
  [
    { kind: 'entry', floor: 'foreign' },
    [
      'confirm, no lineage-foreign',
      'confirm, no lineage-foreign',
      'confirm, no lineage-foreign',
      'no lineage-foreign',
      'no booting',
      'no head-unconfirmed',
    ],
  ],
  [{ kind: 'pinned', pin: 'here' }, ['serve', 'serve', 'serve', 'serve', 'serve', 'serve']],
  [
    { kind: 'pinned', pin: 'sealed' },
    [HOLD, HOLD, HOLD, 'no origin-unreachable', 'no booting', 'no generation-behind'],
  ],
  [
    { kind: 'pinned', pin: 'away' },
    [
      `relay, hold, ${AFTER}`,
      `relay, hold, ${AFTER}`,
      `relay, hold, ${AFTER}`,
      'hold, redirect, no origin-unreachable',
      'no booting',
      'no generation-behind',
    ],
  ],
  [
    { kind: 'pinned', pin: 'unannounced' },
    [
      'confirm, no generation-unknown',
      'confirm, no generation-unknown',
      'confirm, no generation-unknown',
      'no origin-unreachable',
      'no booting',
      'no head-unconfirmed',
    ],
  ],
  [
    { kind: 'pinned', pin: 'lost' },
    [
      'no generation-lost',
      'no generation-lost',
      'no generation-lost',
      'no generation-lost',
      'no booting',
      'no head-unconfirmed',
    ],
  ],
  [
    { kind: 'pinned', pin: 'foreign' },
    [
      'confirm, no lineage-foreign',
      'confirm, no lineage-foreign',
      'confirm, no lineage-foreign',
      'no origin-unreachable',
      'no booting',
      'no head-unconfirmed',
    ],
  ],
  [
    { kind: 'pinned', pin: 'retired' },
    [
      'no generation-retired',
      'no generation-retired',
      'no generation-retired',
      'no generation-retired',
      'no booting',
      'no generation-retired',
    ],
  ],
  [{ kind: 'versioned', isHere: true }, ['serve', 'serve', 'serve', 'serve', 'no booting', 'serve']],
  [
    { kind: 'versioned', isHere: false },
    [
      'confirm, serve',
      HOLD,
      'relay-origin, no generation-behind',
      'no head-unconfirmed',
      'no booting',
      'no head-unconfirmed',
    ],
  ],
  [{ kind: 'object', isHere: true }, ['serve', 'serve', 'serve', 'serve', 'serve', 'serve']],
  [
    { kind: 'object', isHere: false },
    [
      'relay, no blob-unavailable',
      'relay, no blob-unavailable',
      'relay, no blob-unavailable',
      'no blob-unavailable',
      'no booting',
      'no blob-unavailable',
    ],
  ],
  [
    { kind: 'staging' },
    [
      'relay-origin, no origin-unreachable',
      'relay-origin, no origin-unreachable',
      'relay-origin, no origin-unreachable',
      'no origin-unreachable',
      'no booting',
      'no origin-unreachable',
    ],
  ],
  [
    { kind: 'write' },
    [
      'relay-origin, no origin-unreachable',
      'relay-origin, no origin-unreachable',
      'relay-origin, no origin-unreachable',
      'no origin-unreachable',
      'no booting',
      'no origin-diverged',
    ],
  ],
  [
    { kind: 'word' },
    [
      'relay-origin, no origin-unreachable',
      'relay-origin, no origin-unreachable',
      'relay-origin, no origin-unreachable',
      'no origin-unreachable',
      'no booting',
      'no origin-diverged',
    ],
  ],
]

describe('the decision table', () => {
  it('has a row for every question', () => {
    expect(TABLE.map(([question]) => question)).toEqual(expect.arrayContaining([...QUESTIONS]))
    expect(TABLE).toHaveLength(QUESTIONS.length)
  })

  it.each(TABLE)('%j', (question, cells) => {
    expect(MODES.map((mode) => shown(planFor(question, stateOf(mode))))).toEqual(cells)
  })
})

describe('every cell', () => {
  const cells = STATES.flatMap((state) =>
    QUESTIONS.map((question) => ({ state, question, plan: planFor(question, state) })),
  )

  it('ends with an answer, and has none before', () => {
    for (const { plan } of cells) {
      const answers = plan.filter((step) => step === 'serve' || typeof step === 'object')
      expect(answers).toEqual([plan.at(-1)])
    }
  })

  it('never serves from a head that may be an old one (A7)', () => {
    for (const { state, question, plan } of cells)
      if (
        question.kind === 'entry' &&
        (state.mode === 'fenced' || state.mode === 'lag' || state.mode === 'boot')
      )
        expect(plan).not.toContain('serve')
  })

  it('never says out of its own ignorance that something is not there (I13, I14)', () => {
    const negative = [
      'not-found',
      'generation-unknown',
      'lineage-foreign',
      'generation-lost',
      'generation-retired',
    ]
    for (const { state, question, plan } of cells) {
      const isAbsent = 'isHere' in question && !question.isHere
      if (isAbsent && plan.includes('serve')) expect(state.isOrigin || plan[0] === 'confirm').toBe(true)
      const last = plan.at(-1)
      const isUnknown =
        question.kind === 'entry'
          ? question.floor === 'unannounced'
          : question.kind === 'pinned' && question.pin === 'unannounced'
      if (isUnknown && typeof last === 'object' && negative.includes(last.refuse))
        expect(plan[0]).toBe('confirm')
    }
  })

  it('lets nobody wait on a node that drains', () => {
    for (const { state, plan } of cells) if (state.isDraining) expect(plan).not.toContain('hold')
  })

  it('gives what is fixed for ever wherever it is, whatever the node knows of the head', () => {
    for (const { question, plan } of cells)
      if (
        (question.kind === 'pinned' && question.pin === 'here') ||
        (question.kind === 'object' && question.isHere)
      )
        expect(plan).toEqual(['serve'])
  })

  it('does what an origin does only on the origin', () => {
    for (const { state, question, plan } of cells)
      if (/^(?:write|staging|word)$/.test(question.kind) && plan.includes('serve'))
        expect(state.isOrigin).toBe(true)
  })
})

describe('a node that is cut off', () => {
  it('serves what it has where availability was chosen, and still confirms nothing', () => {
    const state = stateOf('cut', { whenCut: 'serve' })
    const answers = FLOORS.map((floor) => shown(planFor({ kind: 'entry', floor }, state)))
    expect(answers).toEqual([
      'serve',
      'serve',
      'hold, no origin-unreachable',
      'no origin-unreachable',
      'no origin-unreachable',
      'no generation-lost',
      'no lineage-foreign',
    ])
    expect(planFor({ kind: 'versioned', isHere: false }, state)).toEqual([{ refuse: 'head-unconfirmed' }])
  })
})

describe('a node that drains', () => {
  it('relays at once what it would have waited for', () => {
    const state = stateOf('fresh', { isDraining: true })
    expect(shown(planFor({ kind: 'entry', floor: 'announced' }, state))).toBe(
      'relay-origin, redirect, no draining',
    )
    expect(shown(planFor({ kind: 'pinned', pin: 'away' }, state))).toBe('relay, redirect, no draining')
    expect(shown(planFor({ kind: 'entry', floor: 'none' }, state))).toBe('serve')
  })
})

describe('an origin that may have lost generations', () => {
  const REASONS: readonly Unsure[] = ['asking', 'unverified', 'diverged', 'superseded']
  const plans = (question: Question): readonly string[] =>
    REASONS.map((unsure) => {
      const mode = unsure === 'diverged' || unsure === 'superseded' ? 'diverged' : 'fresh'
      return shown(planFor(question, stateOf(mode, { isOrigin: true, unsure })))
    })

  it('commits nothing, and says why', () => {
    expect(plans({ kind: 'write' })).toEqual([
      'hold, no head-unconfirmed',
      'no origin-unverified',
      'no origin-diverged',
      'no origin-superseded',
    ])
  })

  it('takes what is staged as long as that may still be committed', () => {
    expect(plans({ kind: 'staging' })).toEqual([
      'serve',
      'serve',
      'no origin-diverged',
      'no origin-superseded',
    ])
  })

  it('goes on telling nodes and operators what only it can tell', () => {
    expect(plans({ kind: 'word' })).toEqual(['serve', 'serve', 'serve', 'serve'])
  })

  it('serves what it has, and says of nothing that it never was (I13)', () => {
    for (const question of [
      { kind: 'entry', floor: 'none' },
      { kind: 'entry', floor: 'met' },
      { kind: 'pinned', pin: 'here' },
      { kind: 'versioned', isHere: true },
      { kind: 'object', isHere: true },
    ] as const)
      expect(plans(question)).toEqual(['serve', 'serve', 'serve', 'serve'])
    const negative = /not-found|generation-unknown|generation-lost|lineage-foreign|serve/
    for (const question of [
      ...['unannounced', 'head', 'lost', 'foreign'].map((floor) => ({ kind: 'entry', floor })),
      ...['unannounced', 'lost', 'foreign', 'away'].map((pin) => ({ kind: 'pinned', pin })),
      { kind: 'versioned', isHere: false },
      { kind: 'object', isHere: false },
    ] as Question[])
      for (const plan of plans(question)) expect(plan, JSON.stringify(question)).not.toMatch(negative)
  })
})
