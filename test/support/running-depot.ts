/**
 * A real depot for a test: its own data folder, a free port, quiet, and gone afterwards.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type RunningDepot, startDepot } from '../../src/app/app.ts'
import type { Config } from '../../src/app/config.ts'
import { loadConfig } from '../../src/app/config.ts'
import { type Client, connect } from '../../src/client/index.ts'
import { temporaryFolder } from './temporary-folder.ts'

export interface TestDepot extends AsyncDisposable {
  readonly url: string
  readonly data: string
  readonly token: string
  /** As the admin. */
  readonly client: Client
  readonly running: RunningDepot
  /** `fetch` with the path only, as the admin. */
  ask(path: string, init?: RequestInit): Promise<Response>
}

/** Settings beside those that every test has. */
export async function runningDepot(settings: Partial<Config> = {}): Promise<TestDepot> {
  const folder = await temporaryFolder()
  const running = await startDepot(await testConfig({ data: folder.path, ...settings }))
  const data = settings.data ?? folder.path
  const token = (await readFile(join(data, 'admin.token'), 'utf8')).trim()
  return {
    url: running.url,
    data,
    token,
    client: connect({ url: running.url, token }),
    running,
    ask: async (path, init = {}) =>
      await fetch(running.url + path, {
        ...init,
        headers: {
          authorization: `Bearer ${token}`,
          ...(init.headers as Record<string, string> | undefined),
        },
      }),
    [Symbol.asyncDispose]: async () => {
      await running.close('SIGINT')
      await folder[Symbol.asyncDispose]()
    },
  }
}

export async function testConfig(settings: Partial<Config>): Promise<Config> {
  const { config } = await loadConfig({
    flags: { data: settings.data ?? '.', listen: '127.0.0.1:0', logLevel: 'silent', drainSeconds: '0' },
    environment: {},
    folder: '/',
  })
  return { ...config, ...settings }
}
