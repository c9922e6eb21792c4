/**
 * `depot demo`: the whole round trip on a depot of its own, with real packages, in a temporary folder that is gone
 * afterwards: import, commit, read, publish again, compare, read the old generation, roll back; then two replicas, which
 * are restarted while everybody reads.
 */
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import type { RunningDepot } from '../../app/app.ts'
import { loadConfig } from '../../app/config.ts'
import type { Client, Session } from '../../client/client.ts'
import type { Imported } from '../../format/importer.ts'
import { importNpm } from '../../format/npm.ts'
import type { Generation } from '../../model/generation.ts'
import type { Manifest } from '../../model/manifest.ts'
import { parseChannelName } from '../../model/name.ts'
import { connectToWrite } from '../connection.ts'
import type { RollingParts } from '../demo/rolling.ts'
import { doing } from '../doing.ts'
import { type JsonOption, withJson } from '../options.ts'
import type { Output } from '../output.ts'
import { Loads } from '../publish/loads.ts'
import { EXIT, type Shell, UsageError } from '../shell.ts'
import { countText, sizeText } from '../wording.ts'

interface DemoOptions extends JsonOption {
  readonly packages?: string
}

const CHANNEL = parseChannelName('demo')

export function addDemo(parent: Command, shell: Shell): void {
  withJson(parent.command('demo'))
    .description('the whole round trip, on a depot in a temporary folder')
    .option(
      '--packages <folder>',
      "a node_modules folder to publish; by default the one of depot's own packages",
    )
    .action(
      doing(shell, async (output, { packages }: DemoOptions) => {
        const source = packages === undefined ? await ownPackages() : resolve(shell.folder, packages)
        await demandPackages(source)
        const folder = await mkdtemp(join(tmpdir(), 'depot-demo-'))
        try {
          const tour = new Tour(shell, output)
          await tour.walk(folder, source)
        } finally {
          await rm(folder, { recursive: true, force: true })
        }
      }),
    )
}

/** In the folder of the project, or around it where depot was installed as a package itself. */
async function ownPackages(): Promise<string> {
  const start = fileURLToPath(new URL('.', import.meta.url))
  for (let folder = start; dirname(folder) !== folder; folder = dirname(folder)) {
    const found = basename(folder) === 'node_modules' ? folder : join(folder, 'node_modules')
    if (await isFolder(found)) return found
  }
  throw new UsageError(`there is no node_modules folder above ${start}; give one with --packages`)
}

/** Fails with `UsageError`, before a depot is started for nothing. */
async function demandPackages(folder: string): Promise<void> {
  if (!(await isFolder(folder)))
    throw new UsageError(
      `there is no folder ${folder}; give --packages the node_modules folder of a project, or leave it out`,
    )
}

async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}

class Tour {
  readonly #shell: Shell
  readonly #output: Output

  constructor(shell: Shell, output: Output) {
    this.#shell = shell
    this.#output = output
  }

  async walk(folder: string, packages: string): Promise<void> {
    const data = join(folder, 'origin')
    const depot = await this.#start(data)
    try {
      // The demo's own depot and token, whatever the environment says.
      const client = await connectToWrite({ ...this.#shell, environment: {} }, { depot: depot.url, data })
      const first = await this.#import(client, packages)
      const name = await this.#read(client, first)
      const second = await this.#publishAgain(client, name)
      await this.#compare(client, first, second)
      await this.#rollBack(client, first)
      await this.#restartReplicas({ client, origin: depot.url, folder })
    } finally {
      await depot.close('SIGINT')
    }
  }

  async #start(data: string): Promise<RunningDepot> {
    const flags = { data, listen: '127.0.0.1:0', logLevel: 'warn' }
    const { config } = await loadConfig({ flags, environment: {}, folder: data })
    const { startDepot } = await import('../../app/app.ts')
    const depot = await startDepot(config)
    await this.#say('serve', { url: depot.url }, `a new depot answers at ${depot.url}`)
    return depot
  }

  async #import(client: Client, packages: string): Promise<Generation> {
    const began = this.#shell.clock.monotonic()
    const staging = await client.openStage({ message: 'import npm packages' }, this.#shell.signal)
    const loads = new Loads(staging, CHANNEL, this.#shell.signal)
    let files = 0
    for await (const imported of importNpm(packages, this.#shell.signal)) {
      if (imported.kind !== 'release') continue
      files += filesOf(imported)
      await loads.add(imported)
    }
    await loads.finish()
    const { changes } = await staging.show(this.#shell.signal)
    if (changes === 0)
      throw new UsageError(
        `there is no package in ${packages}; give --packages the node_modules folder of a project, or leave it out`,
      )
    const { generation } = await staging.commit({}, this.#shell.signal)
    const seconds = ((this.#shell.clock.monotonic() - began) / 1000).toFixed(1)
    await this.#say(
      'import',
      { generation: generation.gid, releases: changes, files },
      `staged ${countText(changes, 'release')} with ${countText(files, 'file')}, committed as one generation in ${seconds} s: ${generation.gid}`,
    )
    return generation
  }

  /** Reads catalog, a manifest and its files at exactly one generation, every byte verified by the SDK. */
  async #read(client: Client, generation: Generation): Promise<string> {
    const session = await client.session(generation.gid, this.#shell.signal)
    let releases = 0
    let chosen: { readonly name: string; readonly version: string } | undefined
    for await (const release of session.catalog(CHANNEL, this.#shell.signal)) {
      releases += 1
      if (release.name === 'semver' || chosen === undefined) chosen = release
    }
    const { name, version } = chosen ?? { name: '', version: '' }
    const manifest = await session.manifest(CHANNEL, name, version, this.#shell.signal)
    const bytes = await this.#readFiles(session, manifest)
    await this.#say(
      'read',
      { releases, name, version, files: manifest.files.length, bytes },
      `read the catalog (${countText(releases, 'release')}), the manifest of ${name} ${version}, and its ${countText(manifest.files.length, 'file')}, ${sizeText(bytes)}: all of ${shortOf(generation)}, every digest right`,
    )
    return name
  }

  async #readFiles(session: Session, { name, version, files }: Manifest): Promise<number> {
    let bytes = 0
    for (const { path } of files)
      for await (const piece of session.file(CHANNEL, name, version, path, this.#shell.signal))
        bytes += piece.length
    return bytes
  }

  async #publishAgain(client: Client, name: string): Promise<Generation> {
    const staging = await client.openStage({ message: 'publish hello' }, this.#shell.signal)
    const bytes = Buffer.from(`hello, ${name}\n`)
    const { sourceOfBytes } = await import('../../client/index.ts')
    const source = sourceOfBytes(bytes)
    const { digest } = source
    await staging.upload([source], undefined, this.#shell.signal)
    const manifest = {
      name: 'hello',
      version: '1.0.0',
      files: [{ path: 'hello.txt', digest, size: bytes.length }],
    }
    await staging.put(CHANNEL, manifest as unknown as Manifest, this.#shell.signal)
    const { generation } = await staging.commit({}, this.#shell.signal)
    await this.#say('publish', { generation: generation.gid }, `published hello 1.0.0: ${generation.gid}`)
    return generation
  }

  async #compare(client: Client, first: Generation, second: Generation): Promise<void> {
    const lines: string[] = []
    for await (const { op, name, version } of client.diff(first.gid, second.gid, CHANNEL, this.#shell.signal))
      lines.push(`${op} ${name} ${version}`)
    await this.#say('diff', { lines }, `from ${shortOf(first)} to ${shortOf(second)}: ${lines.join(', ')}`)
    const isOld = await this.#isIn(client, first)
    const isNew = await this.#isIn(client, second)
    await this.#say(
      'pinned',
      { [first.gid]: isOld, [second.gid]: isNew },
      `${shortOf(first)} still answers as it was: hello is ${isOld ? 'there' : 'not there'}; in ${shortOf(second)} it is ${isNew ? 'there' : 'not there'}`,
    )
  }

  async #rollBack(client: Client, to: Generation): Promise<void> {
    const { generation } = await client.rollback(to.gid, undefined, this.#shell.signal)
    const isThere = await this.#isIn(client, generation)
    await this.#say(
      'rollback',
      { generation: generation.gid, hello: isThere },
      `rolled back to the content of ${shortOf(to)} with a new generation: ${generation.gid}, hello is ${isThere ? 'there' : 'not there'}`,
    )
    const log: string[] = []
    for await (const { record } of client.generations(this.#shell.signal))
      log.push(`g${record.number} ${record.message}`)
    await this.#say('log', { log }, `the log, newest first: ${log.join('; ')}`)
  }

  /** Anything that a reader should not meet makes the demo fail. */
  async #restartReplicas(parts: Pick<RollingParts, 'client' | 'origin' | 'folder'>): Promise<void> {
    const { clock, signal } = this.#shell
    const { Rolling } = await import('../demo/rolling.ts')
    const rolling = new Rolling({ ...parts, channel: CHANNEL, clock, signal })
    try {
      const began = clock.monotonic()
      const urls = await rolling.start()
      const copySeconds = ((clock.monotonic() - began) / 1000).toFixed(1)
      await this.#say(
        'replicas',
        { urls },
        `${countText(urls.length, 'replica')} at ${urls.join(' and ')} copied all of it in ${copySeconds} s`,
      )
      const { commits, seconds, examples, ...met } = await rolling.roll()
      await this.#say(
        'restart',
        { commits, seconds },
        `restarted them one after the other in ${seconds} s, behind a balancer, while ${countText(commits, 'generation')} were committed`,
      )
      const counts = Object.entries(met).map(([what, count]) => `${count.toLocaleString('en')} ${what}`)
      await this.#say('readers', { ...met, examples }, [counts.join(', '), ...examples].join('\n'))
      if (met.mixed + met.backward + met.failed > 0) this.#shell.leave(EXIT.error)
    } finally {
      await rolling[Symbol.asyncDispose]()
    }
  }

  async #isIn(client: Client, generation: Generation): Promise<boolean> {
    const session = await client.session(generation.gid, this.#shell.signal)
    for await (const { name } of session.catalog(CHANNEL, this.#shell.signal))
      if (name === 'hello') return true
    return false
  }

  async #say(step: string, members: Readonly<Record<string, unknown>>, text: string): Promise<void> {
    await this.#output.sayNow({ step, ...members }, `${step.padEnd(9)}${text}`)
  }
}

function filesOf(imported: Extract<Imported, { kind: 'release' }>): number {
  return imported.manifest.files.length
}

function shortOf({ record }: Generation): string {
  return `g${record.number}`
}
