/**
 * `npm run bench [-- name...]`: asks every question, or those that are named, prints the table, and keeps it in
 * bench/README.md when all were asked.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { catalogs } from './catalogs.ts'
import { commits } from './commits.ts'
import { largeFile } from './large-file.ts'
import { publishing } from './publishing.ts'
import { catchUp } from './replicas/catch-up.ts'
import { convergence } from './replicas/convergence.ts'
import { firstCopy } from './replicas/first-copy.ts'
import { gateCost } from './replicas/gate.ts'
import { holds } from './replicas/holds.ts'
import type { Row } from './row.ts'
import { smallReads } from './small-reads.ts'

const QUESTIONS: Readonly<Record<string, () => Promise<readonly Row[]>>> = {
  'small-reads': smallReads,
  'large-file': largeFile,
  commits: async () => await commits(),
  catalogs,
  publishing,
  convergence,
  'catch-up': async () => await catchUp(),
  'first-copy': async () => await firstCopy(),
  gate: gateCost,
  holds,
}

const README = new URL('./README.md', import.meta.url)
const BEGIN = '<!-- measured -->'
const END = '<!-- end -->'

const names = process.argv.slice(2)
const rows: Row[] = []
for (const [name, ask] of Object.entries(QUESTIONS)) {
  if (names.length > 0 && !names.includes(name)) continue
  console.error(`${name} ...`)
  rows.push(...(await ask()))
}
const table = tableOf(rows)
console.log(table)
if (names.length === 0) await keep(table)
process.exitCode = rows.every(({ met }) => met) ? 0 : 1

function tableOf(lines: readonly Row[]): string {
  const cells = lines.map(
    ({ question, answer, goal, met }) => `| ${question} | ${answer} | ${goal} | ${met ? 'yes' : 'no'} |`,
  )
  return ['| question | answer | goal | met |', '|---|---|---|---|', ...cells].join('\n')
}

async function keep(measured: string): Promise<void> {
  const text = await readFile(README, 'utf8')
  const machine = `${cpus().length} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}, ${new Date().toISOString().slice(0, 10)}`
  const [before = ''] = text.split(BEGIN)
  const after = text.slice(text.indexOf(END))
  await writeFile(README, `${before}${BEGIN}\n${machine}\n\n${measured}\n${after}`)
}
