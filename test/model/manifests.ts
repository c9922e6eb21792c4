/** Manifests for tests: a small one to change, any one for properties, and its text said in many ways. */
import fc from 'fast-check'
import { type Digest, digestOf } from '../../src/model/digest.ts'
import { type EncodedManifest, parseManifest } from '../../src/model/manifest.ts'
import { semverOrder } from '../../src/model/version.ts'
import { characters, texts } from './texts.ts'

export const DIGEST: Digest = digestOf('one')

/** What a publisher sends, before anybody has checked it. */
export type Sent = Readonly<Record<string, unknown>>

/** A manifest that is accepted, with changes. */
export function sent(changes: Sent = {}): Sent {
  return { name: 'a', version: '1.0.0', files: [], ...changes }
}

/** A manifest with one file that is accepted, with changes. */
export function sentFile(changes: Sent = {}): Sent {
  return sent({ files: [{ path: 'a', digest: DIGEST, size: 3, ...changes }] })
}

export function parsed(value: unknown): EncodedManifest {
  return parsedText(JSON.stringify(value))
}

export function parsedText(text: string): EncodedManifest {
  return parseManifest(Buffer.from(text), semverOrder)
}

const NAMES_OF_ALL_OBJECTS = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'toJSON']
const units = fc.constantFrom(
  'a',
  'B',
  '0',
  '.',
  '-',
  ' ',
  '%',
  '"',
  "'",
  'é',
  '\ue000',
  '\uff21',
  '\u{1f600}',
)
const segments = fc.oneof(
  fc.string({ unit: units, minLength: 1, maxLength: 4 }).filter((text) => text !== '.' && text !== '..'),
  fc.constantFrom(...NAMES_OF_ALL_OBJECTS),
)
const names = fc.array(segments, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'))

/** Paths of which none is another's folder. */
const paths = fc
  .uniqueArray(names, { maxLength: 8 })
  .map((all) => all.filter((path) => !all.some((other) => other.startsWith(`${path}/`))))

const versions = fc
  .tuple(fc.nat(20), fc.nat(20), fc.nat(20), fc.constantFrom('', '-rc.1', '-0', '-a-b.c'))
  .map(([major, minor, patch, rest]) => `${major}.${minor}.${patch}${rest}`)

/** The size follows from the digest, as it does in the world. */
const files = paths.chain((chosen) =>
  fc.tuple(
    ...chosen.map((path) =>
      fc.nat(50).chain((seed) =>
        fc.record(
          {
            path: fc.constant(path),
            digest: fc.constant(digestOf(String(seed))),
            size: fc.constant(seed * 1000),
            mode: fc.constantFrom(0, 0o644, 0o755, 0o7777),
            mediaType: fc.constantFrom('text/plain', 'text/plain; charset=utf-8', 'a/b;c="d e"'),
            os: fc.constantFrom('linux', '日本語', ''),
            cpu: fc.constantFrom('x64', 'arm64'),
          },
          { requiredKeys: ['path', 'digest', 'size'] },
        ),
      ),
    ),
  ),
)

const values = fc.jsonValue({ maxDepth: 3, stringUnit: characters })

/** Any manifest that is accepted, as a publisher may send it: members and files in no order. */
export const manifests: fc.Arbitrary<Sent> = fc.record(
  {
    name: names,
    version: versions,
    files,
    summary: texts,
    dependencies: membersOf(fc.constantFrom('*', '^1.2.0', '>=1.0.0 <2.0.0', '1.x || 2.x', '')),
    annotations: membersOf(values),
    published: fc.constantFrom('2026-11-22T04:22:08.000Z', '2026-11-22T04:22:08+01:00'),
  },
  { requiredKeys: ['name', 'version', 'files'], noNullPrototype: true },
)

function membersOf<Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<Record<string, Value>> {
  return fc
    .uniqueArray(fc.tuple(names, value), { maxLength: 5, selector: ([name]) => name })
    .map((members) => Object.fromEntries(members))
}

/**
 * Says the same JSON in another way: members shuffled, white space strewn in, characters escaped. Lists keep their
 * order, but for `files`.
 */
export function retold(value: unknown, seed: number): string {
  const chance = chancesOf(seed)
  const blank = (): string => ['', '', ' ', '\n', '\t\r\n '][chance(5)] ?? ''
  const quoted = (text: string): string =>
    `"${Array.from({ length: text.length }, (_, at) =>
      chance(4) === 0 ? escaped(text, at) : JSON.stringify(text.charAt(at)).slice(1, -1),
    ).join('')}"`
  const tell = (one: unknown, isFiles: boolean): string => {
    if (typeof one === 'string') return quoted(one)
    if (typeof one !== 'object' || one === null) return JSON.stringify(one)
    const parts = Array.isArray(one)
      ? (isFiles ? shuffled(one, chance) : one).map((item) => tell(item, false))
      : shuffled(Object.entries(one), chance).map(
          ([name, item]) =>
            `${quoted(name)}${blank()}:${blank()}${tell(item, name === 'files' && one === value)}`,
        )
    const [open, close] = Array.isArray(one) ? '[]' : '{}'
    return `${open}${blank()}${parts.join(`${blank()},${blank()}`)}${blank()}${close}`
  }
  return blank() + tell(value, false) + blank()
}

function escaped(text: string, at: number): string {
  return `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`
}

function shuffled<Item>(items: readonly Item[], chance: (below: number) => number): readonly Item[] {
  return items
    .map((item) => ({ item, at: chance(1 << 20) }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}

/** Numbers below a bound, the same ones for the same seed. */
function chancesOf(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}
