/**
 * `depot lb-config haproxy|nginx`: the configuration of a balancer in front of these replicas, whole and ready to run
 * (PROTOCOL §12). Nothing is asked of a depot: the same words give the same text.
 */
import { isIP } from 'node:net'
import { Argument, type Command } from 'commander'
import { type Listen, parseAddress, showAddress } from '../../app/config-values.ts'
import { doing } from '../doing.ts'
import { type JsonOption, withJson } from '../options.ts'
import { type Shell, UsageError } from '../shell.ts'
import { haproxyConfig } from './lb-haproxy.ts'
import { nginxConfig } from './lb-nginx.ts'

const BALANCERS = ['haproxy', 'nginx'] as const

interface Options extends JsonOption {
  readonly replica: readonly string[]
  readonly listen: string
  readonly cacheDir?: string
}

/** `/var/cache` is there everywhere, and nginx makes one folder below it, but no two. */
const CACHE_DIR = '/var/cache/nginx-depot'
const DEFAULT_PORT = 8740
/** Nothing that either language would take for its own. */
const HOST = /^[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?$/
const FOLDER = /^(\/[\w@+=,.-]+)+\/?$/

export function addLbConfig(parent: Command, shell: Shell): void {
  withJson(parent.command('lb-config'))
    .description('print the configuration of a balancer in front of replicas, for haproxy or nginx')
    .addArgument(new Argument('<balancer>').choices(BALANCERS))
    .requiredOption('--replica <url...>', 'address of a replica, like http://10.0.0.1:8741; may be repeated')
    .requiredOption('--listen <address>', 'where the balancer listens: host:port')
    .option('--cache-dir <dir>', `where nginx keeps answers that never change (default ${CACHE_DIR})`)
    .action(
      doing(shell, async (output, options: Options, balancer: (typeof BALANCERS)[number]) => {
        const { cacheDir } = options
        if (cacheDir !== undefined && balancer !== 'nginx')
          throw new UsageError('--cache-dir is for nginx; HAProxy keeps no answers here')
        const listen = checkedListen(options.listen)
        const replicas = checkedReplicas(options.replica, listen)
        const config =
          balancer === 'haproxy'
            ? haproxyConfig({ listen: showAddress(listen), replicas })
            : nginxConfig({ listen: showAddress(listen), replicas, cacheDir: checkedFolder(cacheDir) })
        await output.say({ balancer, config }, config.trimEnd())
      }),
    )
}

function checkedListen(text: string): Listen {
  let listen: Listen
  try {
    listen = parseAddress(text, DEFAULT_PORT)
  } catch (error) {
    throw new UsageError(`--listen ${(error as Error).message}`)
  }
  if (listen.port === 0)
    throw new UsageError('--listen must have a port that is not 0: clients have to know it')
  if (!isHost(listen.host)) throw new UsageError(`--listen must be host:port, not ${text}`)
  return listen
}

/** As `host:port`, each once. */
function checkedReplicas(urls: readonly string[], listen: Listen): readonly string[] {
  const replicas = urls.map((text) => addressOf(text))
  const twice = replicas.find((replica, at) => replicas.indexOf(replica) !== at)
  if (twice !== undefined) throw new UsageError(`--replica ${twice} is given twice`)
  if (replicas.includes(showAddress(listen)))
    throw new UsageError(`--replica ${showAddress(listen)} is where the balancer itself listens`)
  return replicas
}

function addressOf(text: string): string {
  const url = URL.parse(text)
  if (url?.protocol === 'https:')
    throw new UsageError(`--replica must be http, for a depot speaks plain HTTP; not ${text}`)
  const isBare = url !== null && url.href === `${url.origin}/`
  if (!isBare || url.protocol !== 'http:' || url.port === '0')
    throw new UsageError(`--replica must be an address like http://10.0.0.1:8741, not ${text}`)
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  if (!isHost(host)) throw new UsageError(`--replica must name a host or an address, not ${text}`)
  return showAddress({ host, port: url.port === '' ? 80 : Number(url.port) })
}

function isHost(host: string): boolean {
  return isIP(host) !== 0 || HOST.test(host)
}

function checkedFolder(folder = CACHE_DIR): string {
  if (FOLDER.test(folder) && !folder.split('/').includes('..')) return folder.replace(/\/$/, '')
  throw new UsageError(`--cache-dir must be a whole path of plain characters, not ${folder}`)
}
