/**
 * The long form of the simulation: `npm run simulate -- --histories 10000 [--from 1] [--rule <mutation>]`; one history
 * again, told step by step: `npm run simulate -- --seed N [--rule <mutation>]`.
 */
import { parseArgs } from 'node:util'
import { HOLES, MUTATIONS } from './mutations.ts'
import { search } from './search.ts'
import { simulate } from './simulate.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    histories: { type: 'string', default: '10000' },
    from: { type: 'string', default: '1' },
    rule: { type: 'string' },
  },
})

const rules = { ...MUTATIONS, ...HOLES }
const mutation = values.rule === undefined ? undefined : rules[values.rule]
if (values.rule !== undefined && mutation === undefined)
  throw new Error(`no rule ${values.rule}; there is ${Object.keys(rules).join(', ')}`)

if (values.seed !== undefined) {
  const { violation } = simulate(Number(values.seed), mutation, (atMs, who, sentence) => {
    console.log(`${atMs.toFixed(1).padStart(9)}  ${who.padEnd(9)} ${sentence}`)
  })
  if (violation !== undefined) process.exitCode = 1
} else {
  const started = performance.now()
  const { failed, histories, activated, aborted, answers, events } = search(
    Number(values.from),
    Number(values.histories),
    mutation,
  )
  const seconds = (performance.now() - started) / 1000
  console.log(
    `${histories} histories in ${seconds.toFixed(1)} s: ${events} events, ${activated} activated, ${aborted} given up, ${answers} reads`,
  )
  if (failed !== undefined) {
    console.log(`FAILED: seed ${failed.seed}: ${failed.violation?.message}`)
    process.exitCode = 1
  } else console.log('nothing found')
}
