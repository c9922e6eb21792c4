/**
 * `depot lb-config`: what it prints, and which words it refuses. What the real programs make of it is told in
 * `story/haproxy.test.ts` and `story/nginx.test.ts`.
 */
import { describe, expect, it, vi } from 'vitest'
import { judge, needs, type Program } from '../story/balancer.ts'
import { linesOf, run } from './run.ts'

const REPLICAS = ['--replica', 'http://10.0.0.1:8741', '--replica', 'http://[fd00::2]:8742/']
const LISTEN = ['--listen', '127.0.0.1:8740']
const PROGRAMS: readonly Program[] = ['haproxy', 'nginx']

async function made(program: Program, ...flags: readonly string[]): Promise<string> {
  const ran = await run(['lb-config', program, ...REPLICAS, ...LISTEN, ...flags])
  expect(ran).toMatchObject({ exit: 0, stderr: '' })
  return ran.stdout
}

/** Lines without comments and indentation. */
function settingsOf(config: string): readonly string[] {
  return config
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
}

describe('depot lb-config haproxy', () => {
  it('has the settings that the protocol asks for', async () => {
    const settings = settingsOf(await made('haproxy'))
    for (const setting of [
      'bind 127.0.0.1:8740',
      'timeout connect 2s',
      'timeout client 60s',
      'timeout server 30s',
      'timeout check 1s',
      'retries 2',
      'option redispatch 1',
      'retry-on conn-failure empty-response 503',
      'http-request disable-l7-retry if !METH_GET',
      'option allbackups',
      'option forwardfor',
    ])
      expect(settings).toContain(setting)
    expect(settings.join('\n')).not.toContain('observe layer7')
  })

  it('lists every replica in three places: ready, second tier, and checked for it', async () => {
    const passive = 'observe layer4 error-limit 1 on-error mark-down'
    const servers = settingsOf(await made('haproxy')).filter((line) => line.startsWith('server '))
    expect(servers).toEqual([
      `server r1 10.0.0.1:8741 check inter 500ms fall 2 rise 2 ${passive}`,
      `server r2 [fd00::2]:8742 check inter 500ms fall 2 rise 2 ${passive}`,
      'server r1b 10.0.0.1:8741 backup track lax/r1',
      'server r2b [fd00::2]:8742 backup track lax/r2',
      'server r1 10.0.0.1:8741 check inter 1s fall 3',
      'server r2 [fd00::2]:8742 check inter 1s fall 3',
    ])
  })
})

describe('depot lb-config nginx', () => {
  it('has the settings that the protocol asks for', async () => {
    const settings = settingsOf(await made('nginx'))
    for (const setting of [
      'listen 127.0.0.1:8740;',
      'server 10.0.0.1:8741 max_fails=0;',
      'server [fd00::2]:8742 max_fails=0;',
      'proxy_http_version 1.1;',
      'proxy_set_header Connection "";',
      'proxy_next_upstream error timeout http_503;',
      'proxy_next_upstream_tries 3;',
      'proxy_next_upstream_timeout 15s;',
      'proxy_connect_timeout 2s;',
      'proxy_read_timeout 30s;',
      'location ~ ^/(g|o)/ {',
      'proxy_cache_key $request_uri;',
      'proxy_cache_use_stale error timeout updating http_503;',
      'client_max_body_size 0;',
      'gzip off;',
    ])
      expect(settings).toContain(setting)
  })

  it('keeps its cache where it is told', async () => {
    expect(await made('nginx')).toContain('proxy_cache_path /var/cache/nginx-depot levels=1:2')
    expect(await made('nginx', '--cache-dir', '/srv/depot-cache')).toContain(
      'proxy_cache_path /srv/depot-cache levels=1:2',
    )
  })

  it('says what it does not give', async () => {
    const config = await made('nginx')
    expect(config).toContain('asks no replica whether it is ready')
    expect(config).toContain('strict')
  })
})

describe.each(PROGRAMS)('what depot lb-config %s prints', (program) => {
  it('is the same with one word for all replicas, and as JSON', async () => {
    const config = await made(program)
    const words = ['--replica', 'http://10.0.0.1:8741', 'http://[fd00::2]:8742', ...LISTEN]
    expect((await run(['lb-config', program, ...words])).stdout).toBe(config)
    const asJson = await run(['lb-config', program, ...words, '--json'])
    expect(linesOf(asJson.stdout)).toEqual([{ balancer: program, config }])
  })

  it('begins with what it is, and has no word left open', async () => {
    const config = await made(program)
    expect(config).toMatch(/^# Depot behind /)
    expect(config).not.toMatch(/undefined|NaN|\[object/)
  })

  it.for([
    ['http://127.0.0.1:1', 'http://127.0.0.2', 'http://[::1]:3', 'http://localhost:4'],
    ['http://127.0.0.1:1'],
  ])('is taken by the real program, for %j', async (urls, context) => {
    needs(program)(context)
    for (const listen of ['127.0.0.1:18740', '[::1]:18740', '0.0.0.0:18740']) {
      const ran = await run(['lb-config', program, '--listen', listen, '--replica', ...urls])
      expect(await judge(program, ran.stdout)).toBe('')
    }
  })

  it.each([
    ['no replica', LISTEN, 'replica'],
    ['no place to listen', REPLICAS, 'listen'],
    [
      'a replica that is given twice',
      [...REPLICAS, ...LISTEN, '--replica', 'http://10.0.0.1:8741/'],
      'twice',
    ],
    [
      'another writing of the same',
      [...REPLICAS, ...LISTEN, '--replica', 'http://[FD00:0::2]:8742'],
      'twice',
    ],
    ['a replica by https', ['--replica', 'https://10.0.0.1', ...LISTEN], 'plain HTTP'],
    ['a replica without a scheme', ['--replica', '10.0.0.1:8741', ...LISTEN], 'http://10.0.0.1:8741'],
    ['a replica with a path', ['--replica', 'http://10.0.0.1/depot', ...LISTEN], '--replica must be'],
    ['a replica with a user', ['--replica', 'http://me@10.0.0.1', ...LISTEN], '--replica must be'],
    ['a replica with a query', ['--replica', 'http://10.0.0.1?x', ...LISTEN], '--replica must be'],
    ['a replica at port 0', ['--replica', 'http://10.0.0.1:0', ...LISTEN], '--replica must be'],
    ['a replica that would be a setting', ['--replica', 'http://a;b{c', ...LISTEN], '--replica must'],
    ['itself as a replica', ['--replica', 'http://127.0.0.1:8740', ...LISTEN], 'itself'],
    ['a place that is none', [...REPLICAS, '--listen', 'here:there'], '--listen must be'],
    ['port 0 to listen on', [...REPLICAS, '--listen', '127.0.0.1:0'], 'not 0'],
    ['a port that is none', [...REPLICAS, '--listen', '127.0.0.1:70000'], '70000'],
  ])('is not there for %s', async (_what, flags, sentence) => {
    const ran = await run(['lb-config', program, ...flags])
    expect(ran).toMatchObject({ exit: 2, stdout: '' })
    expect(ran.stderr).toContain(sentence)
  })
})

describe('depot lb-config', () => {
  it.each([
    ['a balancer it does not know', ['envoy', ...REPLICAS, ...LISTEN]],
    ['a cache for HAProxy', ['haproxy', ...REPLICAS, ...LISTEN, '--cache-dir', '/x']],
    ['a cache at a place that is not whole', ['nginx', ...REPLICAS, ...LISTEN, '--cache-dir', 'cache']],
    ['a cache that would be a setting', ['nginx', ...REPLICAS, ...LISTEN, '--cache-dir', '/x; user root']],
    ['a cache above itself', ['nginx', ...REPLICAS, ...LISTEN, '--cache-dir', '/x/../etc']],
  ])('refuses %s', async (_what, words) => {
    expect(await run(['lb-config', ...words])).toMatchObject({ exit: 2, stdout: '' })
  })

  it('is completed and explained as every command is', async () => {
    const { stdout: script } = await run(['completion', 'bash'])
    expect(script).toContain('lb-config')
    expect(script).toContain('--cache-dir')
    const { stdout: help } = await run(['help', 'lb-config'])
    expect(help).toContain('Usage: depot lb-config [options] <balancer>')
    expect(help).toContain('--replica <url...>')
  })
})

describe('a story whose program is not installed', () => {
  const context = (): { skip: ReturnType<typeof vi.fn<(note: string) => void>> } => ({ skip: vi.fn() })
  const sentence =
    'no-such-program is not installed, so its story is not told; apt-get install no-such-program'

  it('is skipped and says why, and fails in CI', () => {
    const need = needs('no-such-program' as Program)
    vi.stubEnv('CI', '')
    const here = context()
    need(here)
    expect(here.skip).toHaveBeenCalledWith(sentence)
    vi.stubEnv('CI', 'true')
    const inCi = context()
    expect(() => need(inCi)).toThrow(sentence)
    expect(inCi.skip).not.toHaveBeenCalled()
    vi.unstubAllEnvs()
  })
})
