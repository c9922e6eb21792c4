/**
 * The five minutes of README.md, run as they stand there, in a folder of their own. Only the port and the place of the
 * files are others.
 */
import { execFile } from 'node:child_process'
import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { BIN, served } from './served.ts'

const run = promisify(execFile)
const ROOT = resolve(import.meta.dirname, '../..')
const ADDRESS = 'http://127.0.0.1:8740'

/** What `npx` does in the project folder, without a second for every command. */
const NPX = `#!/bin/bash
case "$1" in
  depot) shift; exec '${process.execPath}' '${BIN}' "$@" ;;
  node) shift; exec '${process.execPath}' "$@" ;;
  *) echo "the tour should not need npx $1" >&2; exit 1 ;;
esac
`

/** Every command has to succeed; 10 says that there are differences. */
const STRICT = `set -uo pipefail
trap 'code=$?; [ $code -eq 10 ] || { echo "$BASH_COMMAND ended with $code" >&2; exit 1; }' ERR`

async function tour(): Promise<readonly string[]> {
  const readme = await readFile(join(ROOT, 'README.md'), 'utf8')
  const start = readme.indexOf('\n## Five minutes\n')
  const section = readme.slice(start, readme.indexOf('\n## ', start + 1))
  return [...section.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, commands = '']) => commands)
}

describe('the tour of README.md', () => {
  it('does what it says', async () => {
    await using folder = await temporaryFolder()
    for (const name of ['src', 'node_modules', 'package.json'])
      await symlink(join(ROOT, name), join(folder.path, name))
    await mkdir(join(folder.path, 'bin'))
    await writeFile(join(folder.path, 'bin', 'npx'), NPX)
    await chmod(join(folder.path, 'bin', 'npx'), 0o755)

    const [serve, ...others] = await tour()
    expect(serve).toBe('npx depot serve\n')
    await using depot = await served({ data: join(folder.path, 'depot-data') })
    const script = [STRICT, ...others]
      .join('\n')
      .replaceAll('/tmp/', `${folder.path}/`)
      .replaceAll(ADDRESS, depot.url)
    const { stdout } = await run('bash', ['--norc', '-c', script], {
      cwd: folder.path,
      maxBuffer: 64 * 1024 * 1024,
      env: {
        PATH: `${join(folder.path, 'bin')}:${dirname(process.execPath)}:${process.env['PATH']}`,
        DEPOT_URL: depot.url,
      },
    })
    expect(stdout.match(/hello, world/g)?.length).toBe(2)
    expect(stdout).toContain('hello, moon')
    expect(stdout).toMatch(/^Depot-Generation: g/im)
    const session = await depot.client.session()
    expect(session.generation.record.number).toBe(4)
    const names: string[] = []
    for await (const { name, version } of session.catalog('stable')) names.push(`${name} ${version}`)
    expect(names).toEqual(['hello 1.0.0', 'hello 2.0.0'])
    expect((await session.channel('vendor')).releases).toBeGreaterThan(100)
    expect(await depot.client.stages()).toEqual([])
  }, 120_000)

  it('finds the command by npx in the project folder', async () => {
    const { stdout } = await run('npx', ['--no-install', 'depot', '--version'], { cwd: ROOT })
    expect(stdout).toMatch(/^(?:depot )?\d+\.\d+\.\d+/)
  })
})
