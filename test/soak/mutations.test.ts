/**
 * The checker is checked: a rule is switched off in a running cluster, and the checker says which one. The same load on
 * a cluster that is as it should be finds nothing.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { check, type Report } from '../checker/check.ts'
import { told } from '../checker/finding.ts'
import { readHistory } from '../checker/history.ts'
import { monotonicMs, Recorder } from '../checker/recorder.ts'
import { needs, type Program } from '../story/balancer.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { recordTruth } from './aftermath.ts'
import { Cluster } from './cluster.ts'
import { Lateness } from './lateness.ts'
import { type Mutation, mutated } from './mutated.ts'
import { Board } from './scene.ts'
import { askedAgain, askedBehind, askedForAll, askedUnheard, heldAlone, type Trial } from './trial.ts'

/** What the loads bring about. */
const USED = new Set(['I1', 'I2', 'I4', 'I7', 'I8', 'I16', 'I18', 'I28'])

type Load = (trial: Trial) => Promise<void>

interface Rule {
  readonly off: string
  readonly invariant: string
  readonly load: Load
  readonly balancers?: readonly Program[]
  readonly mutation: Mutation
}

const RULES: readonly Rule[] = [
  {
    off: 'that a node which is behind asks the origin before it says that a name is nowhere',
    invariant: 'I13',
    load: askedBehind,
    mutation: {
      file: 'depot/gate.ts',
      from: "  lag: ['relay-origin', { refuse: 'generation-behind' }],\n",
      to: '  lag: SERVE,\n',
    },
  },
  {
    off: 'that a node asks the origin before it says that there is no such generation',
    invariant: 'I13',
    load: askedUnheard,
    mutation: {
      file: 'depot/gate.ts',
      from: "unannounced: everywhere(['confirm', { refuse: 'generation-unknown' }], {\n    cut: UNREACHABLE,\n    diverged: UNCONFIRMED,",
      to: "unannounced: everywhere([{ refuse: 'generation-unknown' }], {\n    cut: UNREACHABLE,\n    diverged: UNCONFIRMED,",
    },
  },
  {
    off: 'that a node which knows of a newer head never answers from its own (A7)',
    invariant: 'I10',
    load: askedBehind,
    mutation: {
      file: 'depot/gate.ts',
      from: 'none: everywhere(SERVE, { fenced: HOLD_ALONE, lag: ASK_ORIGIN,',
      to: 'none: everywhere(SERVE, { fenced: HOLD_ALONE, lag: SERVE,',
    },
  },
  {
    off: 'the bound of a hold',
    invariant: 'I16',
    load: heldAlone,
    mutation: {
      file: 'http/gate/passage.ts',
      from: 'return (this.#holdEnds ?? this.#ends) - this.#clock.monotonic()',
      to: 'return 60_000',
    },
  },
  {
    off: 'the generation in the ETag of what changes with the head',
    invariant: 'I23',
    load: askedAgain,
    mutation: {
      file: 'http/answer.ts',
      from: "? `${reading.view.gid}/` : ''",
      to: "? '' : ''",
    },
  },
  {
    off: 'that a generation is complete before it is shown',
    // The node refuses what it has not, so behind a balancer a GET fails.
    invariant: 'I18',
    balancers: ['haproxy'],
    load: askedForAll,
    mutation: {
      file: 'replica/copy.ts',
      from: '  await copyBlobs({ ...parts, reader: recent, progress }, { before, after }, signal)\n',
      to: '',
    },
  },
]

/** Runs the load, and has the checker look at what was seen. */
async function judged({
  load,
  mutation,
  balancers = [],
}: Partial<Rule> & Pick<Rule, 'load'>): Promise<{ readonly report: Report; readonly found: string }> {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'history.ndjson')
  const program = join(folder.path, 'program')
  await mkdir(program)
  const bin = mutation === undefined ? {} : { bin: await mutated(program, mutation) }
  {
    await using recorder = await Recorder.open(path)
    const wish = { folder: folder.path, recorder, replicas: 1, balancers, drainSeconds: 0 }
    await using cluster = await Cluster.start({ ...wish, ...bin })
    using _lateness = new Lateness(recorder, () => cluster.processes)
    const board = new Board()
    board.seenAt.set((await cluster.origin.client.head()).gid, monotonicMs())
    await load({ recorder, cluster, board })
    await recordTruth(recorder, cluster.origin.client, board)
  }
  const history = await readHistory(path)
  const report = check(history)
  return { report, found: report.violations.map((violation) => told(history, violation)).join('\n') }
}

beforeEach(needs('haproxy'))

describe('the checker', { timeout: 180_000 }, () => {
  it.each(RULES)('finds as $invariant what comes of it when this is off: $off', async (rule) => {
    const { report } = await judged(rule)
    const found = [...report.violations, ...report.apart].map((violation) => violation.invariant)
    expect(found).toContain(rule.invariant)
  })

  it('finds nothing where nothing is off', async () => {
    const load = async (trial: Trial): Promise<void> => {
      for (const each of [askedBehind, askedUnheard, heldAlone, askedAgain, askedForAll]) await each(trial)
    }
    const { report, found } = await judged({ load, balancers: ['haproxy'] })
    expect(found).toBe('')
    expect(Object.entries(report.cases).filter(([name, count]) => USED.has(name) && count === 0)).toEqual([])
  })
})

describe('a change of the program', () => {
  it('fails when what it changes is not there, or more than once', async () => {
    await using folder = await temporaryFolder()
    const mutation = { file: 'depot/gate.ts', from: 'a text that stands nowhere', to: '' }
    await expect(mutated(folder.path, mutation)).rejects.toThrow('has 0 times')
    await using other = await temporaryFolder()
    const twice = { file: 'depot/gate.ts', from: 'SERVE', to: '' }
    await expect(mutated(other.path, twice)).rejects.toThrow(/has \d\d times/)
  })
})
