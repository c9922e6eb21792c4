/**
 * An origin and nodes that follow it or each other, as processes of their own.
 */
import { join } from 'node:path'
import { expect } from 'vitest'
import { publish } from '../support/publish.ts'
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts'
import { type Served, served } from './served.ts'

const READY = { timeout: 20_000 }

interface FollowerOptions {
  readonly listen?: string
  readonly folder?: string
  readonly token?: string
}

export class Chain implements AsyncDisposable {
  readonly origin: Served
  readonly folder: TemporaryFolder
  /** With the scope `replicate`. */
  readonly token: string
  readonly #nodes: Served[] = []

  private constructor(origin: Served, folder: TemporaryFolder, token: string) {
    this.origin = origin
    this.folder = folder
    this.token = token
  }

  static async open(): Promise<Chain> {
    const folder = await temporaryFolder()
    const origin = await served({ data: join(folder.path, 'origin') })
    const { token } = await origin.client.createToken({ label: 'replicas', scopes: ['replicate'] })
    return new Chain(origin, folder, token)
  }

  /** Starts one, and waits until it is ready. */
  async replica(id: string, upstream: string, listen = '127.0.0.1:0'): Promise<Served> {
    const node = await this.follower(id, upstream, { listen })
    await expect.poll(async () => (await fetch(`${node.url}/readyz`)).status, READY).toBe(200)
    return node
  }

  /** The same, whatever becomes of it; by default in a folder of its own, and for the admin of the first origin. */
  async follower(id: string, upstream: string, options: FollowerOptions = {}): Promise<Served> {
    const { listen = '127.0.0.1:0', folder = id, token = this.origin.token } = options
    const node = await served({
      data: join(this.folder.path, folder),
      flags: ['--role', 'replica', '--upstream', upstream, '--node-id', id, '--listen', listen],
      environment: { DEPOT_UPSTREAM_TOKEN: this.token },
      token,
    })
    this.#nodes.push(node)
    return node
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.#nodes) await one[Symbol.asyncDispose]()
    await this.origin[Symbol.asyncDispose]()
    await this.folder[Symbol.asyncDispose]()
  }
}

export async function publishNumber(at: Served, number: number): Promise<string> {
  const files = { f: `${number}\n` }
  return (await publish(at.client, { name: 'hello', version: `1.0.${number}`, files })).gid
}

/** The generation of its head, as it tells it, and how the node is that told it. */
export async function headAt({ url }: Served): Promise<string> {
  const { status, headers } = await fetch(`${url}/v1/head`)
  const [id = ''] = (headers.get('depot-node') ?? '').split(';')
  return `${status} ${headers.get('depot-generation')} ${id} ${stateIn(headers)}`
}

export function stateIn(headers: Headers): string {
  return /state=(\w+)/.exec(headers.get('depot-node') ?? '')?.[1] ?? ''
}

export async function fileOf({ url }: Served, gid: string, number: number): Promise<string> {
  const answer = await fetch(`${url}/g/${gid}/v1/channels/stable/files/hello/1.0.${number}/f`)
  return `${answer.status} ${answer.headers.get('depot-generation')} ${(await answer.text()).slice(0, 20)}`
}
