/**
 * The long form of the crash story: `npm run soak -- --rounds 200 [--publishers 4] [--data <folder>]`.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { crashRounds } from '../story/crash-rounds.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '200' },
    publishers: { type: 'string', default: '3' },
    data: { type: 'string' },
  },
})

const folder = await mkdtemp(join(tmpdir(), 'depot-soak-'))
const data = values.data ?? join(folder, 'data')
let slowest = 0
try {
  await crashRounds({
    data,
    rounds: Number(values.rounds),
    publishers: Number(values.publishers),
    report: ({ round, startedMs, acknowledged, generations, repeated }) => {
      slowest = Math.max(slowest, startedMs)
      console.log(
        `round ${round}: killed, up again after ${startedMs} ms, ${acknowledged} acknowledged, ` +
          `${generations} generations whole, ${repeated} commits sent again`,
      )
    },
  })
  console.log(`${values.rounds} rounds, nothing lost, slowest start ${slowest} ms`)
  await rm(folder, { recursive: true })
} catch (error) {
  console.error(error)
  console.error(`FAILED; the data folder is ${data}`)
  process.exitCode = 1
}
