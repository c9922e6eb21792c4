/**
 * The format of the data folder: a number in `format.json`, checked before anything else is read.
 *
 * A folder of an older format is migrated step by step. Each step can be run again after a crash, and the number moves
 * durably after each, so a migration that was cut short goes on where it stopped. A newer format is refused.
 */
import { strict as assert } from 'node:assert'
import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf, Durable, type Files, nodeFiles } from '../disk/durable.ts'
import { failure, isFailure } from '../model/errors.ts'
import { clip } from '../model/name.ts'

/** A step from one format to the next. It can be run again, also over what a run that was cut short left. */
export interface Migration {
  readonly from: number
  run(folder: string): Promise<void>
}

/**
 * Every step there ever was, oldest first. Format 1 is the first format; since 2 the rows of the log have signatures,
 * which an older program would take for a part of their ids. Rows without them are read as ever.
 */
export const MIGRATIONS: readonly Migration[] = [{ from: 1, run: async () => undefined }]

const FIRST = 1

/**
 * Brings the folder to the newest format that the steps lead to. Fails with `data-newer`, or with `data-unusable` when
 * the format cannot be told or written.
 */
export async function settleFormat(
  folder: string,
  migrations: readonly Migration[] = MIGRATIONS,
  files: Files = nodeFiles,
): Promise<void> {
  assert(
    migrations.every(({ from }, at) => from === FIRST + at),
    'the steps lead from each format to the next',
  )
  try {
    await migrate(folder, migrations, new Durable(files))
  } catch (cause) {
    if (isFailure(cause) || codeOf(cause) === undefined || !(cause instanceof Error)) throw cause
    throw failure('data-unusable', { folder, reason: cause.message }, { cause })
  }
}

async function migrate(folder: string, migrations: readonly Migration[], durable: Durable): Promise<void> {
  const known = FIRST + migrations.length
  const found = await readFormat(folder)
  if (found === undefined) return await writeFormat(folder, known, durable)
  if (found > known) throw failure('data-newer', { folder, found, known })
  for (const migration of migrations.slice(found - FIRST)) {
    await migration.run(folder)
    await writeFormat(folder, migration.from + 1, durable)
  }
}

/** Undefined when the folder was never used. */
async function readFormat(folder: string): Promise<number | undefined> {
  const text = await readText(join(folder, 'format.json'))
  if (text !== undefined) return parseFormat(folder, text)
  if (await exists(join(folder, 'ledger.lmdb')))
    throw failure('data-unusable', {
      folder,
      reason: 'there is a ledger, and no format.json that tells its format',
    })
  return undefined
}

function parseFormat(folder: string, text: string): number {
  const format = formatIn(text)
  if (typeof format === 'number' && Number.isSafeInteger(format) && format >= FIRST) return format
  const reason = `format.json should be like {"format":1} and is ${clip(JSON.stringify(text))}`
  throw failure('data-unusable', { folder, reason })
}

function formatIn(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && 'format' in value ? value.format : undefined
  } catch {
    return undefined
  }
}

async function writeFormat(folder: string, format: number, durable: Durable): Promise<void> {
  await durable.write(join(folder, 'format.json'), Buffer.from(`${JSON.stringify({ format })}\n`))
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}
