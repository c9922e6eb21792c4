/**
 * How sizes, counts and generations read in text for people.
 */
import type { Generation } from '../model/generation.ts'
import type { DiffLine, ReleaseBody } from '../wire/bodies.ts'

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB']
const SIGNS: Readonly<Record<DiffLine['op'], string>> = { added: '+', removed: '-', changed: '~' }

/** `2 bytes`, `1.5 kB`, `30 GB` */
export function sizeText(bytes: number): string {
  let unit = 0
  let size = bytes
  for (; size >= 999.5 && unit < UNITS.length - 1; unit += 1) size /= 1_000
  const digits = unit > 0 && size < 9.95 ? 1 : 0
  return `${size.toFixed(digits)} ${bytes === 1 ? 'byte' : UNITS[unit]}`
}

/** `1 file`, `2 files` */
export function countText(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

/** A line of `depot log`. */
export function generationText({ gid, record }: Generation): string {
  const [message = ''] = record.message.split('\n')
  return [gid, record.created, record.publisher, message].join('  ').trimEnd()
}

/** A line of `depot catalog`. */
export function releaseText(release: ReleaseBody): string {
  const { name, version, size, summary = '', status, reason } = release
  const mark = status === undefined ? '' : `[${status}${reason === undefined ? '' : `: ${reason}`}] `
  return `${name} ${version}  ${sizeText(size)}  ${mark}${summary}`.trimEnd()
}

/** A line of `depot diff`. */
export function diffText(line: DiffLine): string {
  const channel = line.channel === undefined ? '' : `${line.channel}: `
  return `${SIGNS[line.op]} ${channel}${releaseText(line)}`
}
