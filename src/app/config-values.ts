/**
 * How one value of the configuration is read, whether it came as text (flag, environment) or typed (TOML).
 *
 * Each reader answers the value or throws an `Error` whose message goes on after the name of the setting: "must be
 * true or false, not maybe".
 */
import { isIP } from 'node:net'
import { LIMITS } from '../model/limits.ts'

export type Scalar = string | number | boolean

export interface Listen {
  readonly host: string
  readonly port: number
}

const PORT_MAXIMUM = 65_535
const PROXY_NAMES = new Set(['loopback', 'linklocal', 'uniquelocal'])
const YES = new Set(['true', 'yes', 'on', '1'])
const NO = new Set(['false', 'no', 'off', '0'])

export function parseText(given: Scalar): string {
  if (typeof given !== 'string' || given.trim() === '') throw new Error(`must be text, not ${String(given)}`)
  return given
}

/** Like text, but the value is not repeated in the message. */
export function parseSecret(given: Scalar): string {
  if (typeof given !== 'string' || !/^[\x21-\x7e]{8,}$/.test(given))
    throw new Error('must be text of at least 8 printable characters without spaces')
  return given
}

export function parseYesOrNo(given: Scalar): boolean {
  if (typeof given === 'boolean') return given
  const text = String(given).toLowerCase()
  if (YES.has(text)) return true
  if (NO.has(text)) return false
  throw new Error(`must be true or false, not ${text}`)
}

export function oneOf<const Word extends string>(...words: readonly Word[]): (given: Scalar) => Word {
  return (given) => {
    const word = words.find((known) => known === given)
    if (word === undefined) throw new Error(`must be one of ${words.join(', ')}, not ${String(given)}`)
    return word
  }
}

export function wholeNumber(least: number, most: number): (given: Scalar) => number {
  return (given) => {
    const number = typeof given === 'string' && /^\d{1,15}$/.test(given) ? Number(given) : given
    if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < least || number > most)
      throw new Error(`must be a whole number from ${least} to ${most}, not ${String(given)}`)
    return number
  }
}

/** `host:port`, `[::1]:port`, a host alone, or a port alone (then on the loopback address). */
export function parseAddress(given: Scalar, defaultPort: number): Listen {
  const text = String(given)
  if (/^\d+$/.test(text)) return { host: '127.0.0.1', port: checkPort(text) }
  const [, six, sixPort] = /^\[([^\]]+)\](?::(\d+))?$/.exec(text) ?? []
  if (six !== undefined && isIP(six) === 6) return { host: six, port: checkPort(sixPort ?? defaultPort) }
  const [, host, port] = /^([\w.-]+)(?::(\d+))?$/.exec(text) ?? []
  if (host !== undefined) return { host, port: checkPort(port ?? defaultPort) }
  throw new Error(`must be host:port, like 127.0.0.1:${defaultPort} or [::1]:${defaultPort}, not ${text}`)
}

function checkPort(text: string | number): number {
  const port = Number(text)
  if (port > PORT_MAXIMUM) throw new Error(`must have a port from 0 to ${PORT_MAXIMUM}, not ${text}`)
  return port
}

export function showAddress({ host, port }: Listen): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** An http or https address without query, and without a slash at its end. */
export function parseWebAddress(given: Scalar): string {
  const text = String(given)
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '')
    throw new Error(`must be an address like https://depot.example.org, not ${text}`)
  if (url.username !== '' || url.password !== '') throw new Error('must not have a user or password in it')
  if (url.href.length > LIMITS.nodeUrlBytes)
    throw new Error(`must have no more than ${LIMITS.nodeUrlBytes} bytes`)
  return url.href.replace(/\/+$/, '')
}

export function parseProxies(given: Scalar): boolean | string {
  if (typeof given === 'boolean') return given
  const text = String(given)
  if (YES.has(text.toLowerCase()) || NO.has(text.toLowerCase())) return parseYesOrNo(text)
  const stranger = text.split(',').find((part) => !isProxy(part.trim()))
  if (stranger !== undefined)
    throw new Error(`must be true, false, or addresses and ranges; "${stranger.trim()}" is none of them`)
  return text
}

function isProxy(text: string): boolean {
  if (PROXY_NAMES.has(text)) return true
  const [address = '', bits, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 6 ? 128 : 32))
}
