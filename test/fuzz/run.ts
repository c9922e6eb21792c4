/**
 * The long form of the fuzz: `npm run fuzz -- --minutes 10 [--seed S] [--parallel 16]`.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { served } from '../story/served.ts'
import { FUZZ_FLAGS, type FuzzReport, fuzz } from './fuzz.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
    parallel: { type: 'string', default: '16' },
  },
})
const seed = Number(values.seed)
const folder = await mkdtemp(join(tmpdir(), 'depot-fuzz-'))
const depot = await served({ data: join(folder, 'data'), flags: FUZZ_FLAGS })
console.log(`seed ${seed}, ${values.minutes} minutes, the data is in ${folder}`)
try {
  const report = await fuzz(depot, {
    seed,
    milliseconds: Number(values.minutes) * 60_000,
    parallel: Number(values.parallel),
    report: (soFar) => console.log(summaryOf(soFar)),
  })
  console.log(`nothing found in ${summaryOf(report)}`)
  await depot.end('SIGTERM')
  await rm(folder, { recursive: true })
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  console.error(`FAILED; the log ends with\n${depot.log().slice(-2_000)}`)
  await depot.end('SIGKILL')
  process.exitCode = 1
}

function summaryOf({ requests, statuses, anonymousMib }: FuzzReport): string {
  const counts = [...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${status}: ${count}`)
  return `${requests} requests, ${counts.join(', ')}; ${anonymousMib} MiB`
}
