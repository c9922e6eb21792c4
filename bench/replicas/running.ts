/**
 * A replica as a process of its own, and what its log tells: when it heard of a generation, and when it had it.
 */
import { createInterface } from 'node:readline'
import type { Generation, Manifest } from '../../src/client/index.ts'
import { sourceOfBytes } from '../../src/client/index.ts'
import { HEADERS } from '../../src/wire/headers.ts'
import { PATHS } from '../../src/wire/paths.ts'
import { type RunningDepot, type Started, startDepot } from '../processes.ts'

export interface Tally {
  readonly done: number
}

/** A line of the log that is about a generation. */
export interface Said {
  readonly msg: string
  readonly gid: string
  /** When it was written, in milliseconds. */
  readonly time: number
  /** Of a copy: what was brought for it. */
  readonly copied?: { readonly nodes: Tally; readonly manifests: Tally; readonly files: Tally }
}

export interface RunningReplica extends Started {
  readonly id: string
  /** Resolves when it has logged that a head of its upstream is known to it; at once when it has done so already. */
  heard(gid: string): Promise<Said>
  /** The same, of a copy that is complete and shown. */
  copied(gid: string): Promise<Said>
}

export interface ReplicaOptions {
  readonly id: string
  readonly data: string
  readonly flags?: readonly string[]
  readonly nodeFlags?: readonly string[]
}

const WAIT_SECONDS = 20

export async function runReplica(
  origin: RunningDepot,
  { id, data, flags = [], nodeFlags = [] }: ReplicaOptions,
): Promise<RunningReplica> {
  const { token } = await origin.client.createToken({ label: id, scopes: ['replicate'] })
  const started = await startDepot(data, {
    flags: ['--role', 'replica', '--upstream', origin.url, '--node-id', id, ...flags],
    environment: { DEPOT_UPSTREAM_TOKEN: token },
    nodeFlags,
    log: 'pipe',
  })
  const said = saidBy(started)
  return {
    ...started,
    id,
    heard: async (gid) => await said('the upstream has a new head', gid),
    copied: async (gid) => await said('copied, and the head of this node', gid),
  }
}

/** Everything that its log says of generations; what is worse than news goes to the log of the bench. */
function saidBy({ child }: Started): (msg: string, gid: string) => Promise<Said> {
  const lines: Said[] = []
  const waiting = new Set<() => void>()
  if (child.stderr === null) throw new Error('the log of the process goes elsewhere')
  createInterface(child.stderr).on('line', (text) => {
    const line = JSON.parse(text) as Said & { readonly level: number }
    if (line.level > 30) console.error(text)
    lines.push(line)
    for (const wake of waiting) wake()
  })
  return async (msg, gid) => {
    for (;;) {
      const found = lines.find((line) => line.msg === msg && line.gid === gid)
      if (found !== undefined) return found
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          waiting.delete(wake)
          resolve()
        }
        waiting.add(wake)
      })
    }
  }
}

/** Waits until the replica has this generation, and has heard from its origin that it is the head. */
export async function fresh(replica: RunningReplica, { gid }: Generation): Promise<void> {
  await replica.copied(gid)
  for (;;) {
    const { headers } = await fetch(replica.url + PATHS.head)
    if (isOwn(headers, replica.id) && headers.get(HEADERS.node)?.includes('state=fresh') === true) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

export interface Shown {
  readonly gid: string
  /** Monotonic, in milliseconds. */
  readonly at: number
}

/** The next head that the replica shows itself: no other node answers in its place. */
export async function nextHead(replica: RunningReplica, after: string): Promise<Shown> {
  const answer = await fetch(`${replica.url}${PATHS.head}?after=${after}`, {
    headers: { prefer: `wait=${WAIT_SECONDS}` },
  })
  const at = performance.now()
  const gid = answer.headers.get(HEADERS.generation) ?? ''
  await answer.arrayBuffer()
  if (answer.status !== 200 || !isOwn(answer.headers, replica.id))
    throw new Error(`${answer.status} by ${answer.headers.get(HEADERS.node)} for the head after ${after}`)
  return { gid, at }
}

/** Whether this node has answered, and not another one for it. */
export function isOwn(headers: Headers, id: string): boolean {
  return headers.get(HEADERS.node)?.startsWith(`${id};`) === true
}

/** Releases nobody has seen before, each with a file of its own. */
export async function change(
  { client }: RunningDepot,
  numbers: { readonly from: number; readonly count: number },
): Promise<{ readonly generation: Generation; readonly answered: number }> {
  const made = Array.from({ length: numbers.count }, (_, at) => newRelease(numbers.from + at))
  const staging = await client.openStage()
  await staging.upload(made.map(({ source }) => source))
  await staging.putAll(
    'bench',
    made.map(({ manifest }) => manifest),
  )
  const { generation } = await staging.commit()
  return { generation, answered: performance.now() }
}

/** The name and the version of such a release. */
export function nameOf(number: number): { readonly name: string; readonly version: string } {
  // Spread over the whole range of names.
  const spread = (Math.imul(number + 1, 2_654_435_761) >>> 0).toString(16).padStart(8, '0')
  return { name: `package-${spread}`, version: `2.0.${number}` }
}

function newRelease(number: number): {
  readonly manifest: Manifest
  readonly source: ReturnType<typeof sourceOfBytes>
} {
  const source = sourceOfBytes(Buffer.from(`export const answer = ${number}\n`))
  const { digest, size } = source
  const files = [{ path: 'lib/index.js', digest, size, mode: 0o644 }]
  return { source, manifest: { ...nameOf(number), files } as unknown as Manifest }
}
