/**
 * The long forms of the stories: a cluster under everything at once, `npm run soak -- --minutes 10 [--seed S]
 * [--balancer haproxy|nginx] [--keep]`, and the crash rounds, `npm run soak -- --rounds 200 [--publishers 4]
 * [--data <folder>]`.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Program, programAt } from '../story/balancer.ts'
import { crashRounds } from '../story/crash-rounds.ts'
import { NEMESIS_NAMES, type NemesisName } from './nemeses.ts'
import { soak } from './soak.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
    balancer: { type: 'string', multiple: true, default: ['haproxy', 'nginx'] },
    nemesis: { type: 'string', multiple: true, default: [...NEMESIS_NAMES] },
    keep: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '200' },
    publishers: { type: 'string', default: '3' },
    data: { type: 'string' },
  },
})

const folder = await mkdtemp(join(tmpdir(), 'depot-soak-'))
if (values.minutes === undefined) await crash(values.data ?? join(folder, 'data'))
else await cluster(Number(values.minutes), Number(values.seed))
// Whatever is left of hundreds of clients and processes does not keep it from ending.
process.stdout.write('', () => process.exit())

async function cluster(minutes: number, seed: number): Promise<void> {
  const balancers = oneOf<Program>(['haproxy', 'nginx'], values.balancer)
  const nemeses = oneOf<NemesisName>(NEMESIS_NAMES, values.nemesis)
  const absent = balancers.filter((name) => programAt(name) === undefined)
  if (absent.length > 0) throw new Error(`not installed: ${absent.join(', ')}`)
  console.log(
    `seed ${seed}, ${minutes} minutes, behind ${balancers.join(' and ')}; all of it is in ${folder}`,
  )
  const { told, failures } = await soak({
    folder,
    seed,
    balancers,
    nemeses,
    milliseconds: minutes * 60_000,
    report: (sentence) => console.log(sentence),
  })
  console.log(told)
  if (failures.length > 0) process.exitCode = 1
  if (failures.length > 0 || values.keep)
    console.log(`seed ${seed}; the history is ${join(folder, 'history.ndjson')}`)
  else await rm(folder, { recursive: true })
  console.log(failures.length > 0 ? `FAILED: ${failures.length}` : 'passed')
}

async function crash(data: string): Promise<void> {
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
}

function oneOf<Name extends string>(known: readonly Name[], given: readonly string[]): readonly Name[] {
  const strange = given.filter((name) => !(known as readonly string[]).includes(name))
  if (strange.length > 0) throw new Error(`${strange.join(', ')}: there is only ${known.join(', ')}`)
  return given as readonly Name[]
}
