/**
 * Requests that a depot should survive: mostly well-formed ones with something odd in them, some that are half-way
 * right, and some that are bytes and nothing else.
 */
import { digestOf } from '../../src/model/digest.ts'
import { encodeBatch } from '../../src/wire/batch.ts'
import type { Chance } from './chance.ts'

/** What is there, so that not every request is about nothing. */
export interface Facts {
  readonly token: string
  readonly gids: readonly string[]
  readonly stages: readonly string[]
  readonly digests: readonly string[]
}

interface Route {
  readonly methods: readonly string[]
  readonly path: string
  readonly body?: keyof typeof BODIES
}

const METHODS = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'PROPFIND',
  'FROB',
  'get',
]
const READ = ['GET', 'GET', 'HEAD']
const READS = [
  '/v1/head',
  '/v1/head?after=GID',
  '/v1/generations',
  '/v1/generations?limit=NUMBER&after=NUMBER',
  '/v1/generations/REF',
  '/v1/generations/REF/diff/REF',
  '/v1/channels',
  '/v1/channels/CHANNEL',
  '/v1/channels/CHANNEL/catalog',
  '/v1/channels/CHANNEL/catalog?since=GID',
  '/v1/channels/CHANNEL/manifests/NAME?range=RANGE&limit=NUMBER',
  '/v1/channels/CHANNEL/manifests/NAME/VERSION',
  '/v1/channels/CHANNEL/files/NAME/VERSION/PATH',
  '/o/sha256/HEX',
  '/v1/stages',
  '/v1/stages/STAGE',
  '/v1/stages/STAGE/blobs/sha256/HEX',
  '/v1/stages/STAGE/preview/v1/channels/CHANNEL/catalog',
  '/v1/stages/STAGE/preview/v1/channels',
  '/v1/tokens',
  '/v1/openapi.json',
  '/problems',
  '/problems/not-found',
  '/livez',
  '/readyz',
  '/metrics',
  '/',
  '*',
]
const STAGED = '/v1/stages/STAGE/channels/CHANNEL'
const WRITES: readonly Route[] = [
  { methods: ['POST'], path: '/v1/stages', body: 'stage' },
  { methods: ['POST'], path: '/v1/stages/STAGE/missing', body: 'missing' },
  { methods: ['POST'], path: '/v1/stages/STAGE/blobs', body: 'batch' },
  { methods: ['PUT'], path: '/v1/stages/STAGE/blobs/sha256/HEX', body: 'bytes' },
  { methods: ['PATCH'], path: '/v1/stages/STAGE/blobs/sha256/HEX', body: 'partial' },
  { methods: ['PUT'], path: STAGED, body: 'channel' },
  { methods: ['DELETE'], path: STAGED },
  { methods: ['POST'], path: `${STAGED}/manifests`, body: 'manifests' },
  { methods: ['PUT'], path: `${STAGED}/manifests/NAME/VERSION`, body: 'manifest' },
  { methods: ['PATCH'], path: `${STAGED}/manifests/NAME/VERSION`, body: 'status' },
  { methods: ['DELETE'], path: `${STAGED}/manifests/NAME/VERSION` },
  { methods: ['POST'], path: '/v1/stages/STAGE/commit', body: 'commit' },
  { methods: ['DELETE'], path: '/v1/stages/STAGE' },
  { methods: ['POST'], path: '/v1/rollback', body: 'rollback' },
  { methods: ['POST'], path: '/v1/tokens', body: 'token' },
  { methods: ['DELETE'], path: '/v1/tokens/t00' },
  { methods: ['POST'], path: '/v1/scrub' },
]
const CHANNELS = ['stable', 'other', 'none', 'Stable', '__proto__', 'constructor', 'a'.repeat(65), '']
const NAMES = [
  'hello',
  '@scope%2Fname',
  '@scope/name',
  '%40scope%2Fname',
  'none',
  '..',
  '%2e%2e',
  'é',
  '%00',
  'x'.repeat(300),
]
const VERSIONS = [
  '1.0.0',
  '2.0.0',
  '1.0.0-rc.1',
  'v1',
  '1',
  '01.0.0',
  '1.0.0+b',
  `1.0.0-${'a'.repeat(300)}`,
  '',
]
const PATHS = [
  'a.txt',
  'deep/b.txt',
  '',
  '/',
  '//',
  '../../etc/passwd',
  '%2e%2e/%2e%2e',
  'a.txt%00',
  'a\\b',
  '%ff',
  '%',
  '%zz',
  `${'p/'.repeat(100)}x`,
]
const RANGES = ['%5E1.0.0', '*', '>=1 <2', '1.x%20||%202', '%ff', '(('.repeat(200), '']
const NUMBERS = ['0', '1', '2', '-1', '1000', '1001', '1e3', 'x', '9999999999999999999', '', '%31']
const TYPES = [
  'application/json',
  'application/vnd.depot.blobs',
  'application/partial-upload',
  'application/x-ndjson',
  'application/octet-stream',
  'text/plain',
  'nonsense',
  'application/json; charset=utf-16',
]

export function requestOf(chance: Chance, facts: Facts): Buffer {
  if (chance.once(40)) return chance.bytes(chance.below(300))
  const route: Route = chance.once(2) ? { methods: READ, path: chance.pick(READS) } : chance.pick(WRITES)
  const method = chance.pick(chance.once(10) ? METHODS : route.methods)
  const kind = chance.once(10) ? chance.pick(KINDS) : route.body
  const body = kind === undefined ? undefined : bodyOf(chance, facts, kind)
  const protocol = chance.once(60) ? chance.pick(['HTTP/1.0', 'HTTP/2.0', 'HTTP/9', '']) : 'HTTP/1.1'
  const lines = [
    `${method} ${pathOf(chance, facts, route.path)} ${protocol}`,
    ...headersOf(chance, facts),
    ...(body === undefined ? [] : framingOf(chance, body)),
  ]
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
  const whole = Buffer.concat([head, body === undefined ? Buffer.alloc(0) : sent(chance, body)])
  return chance.once(20) ? mutated(chance, whole) : whole
}

function pathOf(chance: Chance, facts: Facts, path: string): string {
  const pinned = path.startsWith('/v1/') && chance.once(4) ? `/g/${gidOf(chance, facts)}${path}` : path
  const filled = pinned
    .replaceAll('GID', () => gidOf(chance, facts))
    .replaceAll('REF', () => refOf(chance, facts))
    .replaceAll('CHANNEL', () => usually(chance, 'stable', CHANNELS))
    .replaceAll('NAME', () => usually(chance, 'hello', NAMES))
    .replaceAll('VERSION', () => usually(chance, '1.0.0', VERSIONS))
    .replaceAll('PATH', () => usually(chance, 'a.txt', PATHS))
    .replaceAll('RANGE', () => chance.pick(RANGES))
    .replaceAll('NUMBER', () => chance.pick(NUMBERS))
    .replaceAll('HEX', () => hexOf(chance, facts))
    .replaceAll('STAGE', () => usually(chance, chance.pick(facts.stages), ['s0', '', '..', 'x'.repeat(500)]))
  return chance.once(12) ? odd(chance, filled) : filled
}

function usually<Item>(chance: Chance, usual: Item, others: readonly Item[]): Item {
  return chance.once(8) ? chance.pick(others) : usual
}

function gidOf(chance: Chance, facts: Facts): string {
  if (!chance.once(4)) return chance.pick(facts.gids)
  return chance.pick([
    'g1',
    'head',
    '',
    'g1.aaaaaaaaaaaa.0123456789abcdef',
    'g999999999999999.aaaaaaaaaaaa.0123456789abcdef',
    '%00',
    chance.pick(facts.gids).toUpperCase(),
  ])
}

function refOf(chance: Chance, facts: Facts): string {
  return chance.pick([
    chance.pick(facts.gids),
    '0',
    '1',
    '99',
    'head',
    '2026-11-22T00:00:00Z',
    '2026-99-99T00:00:00Z',
    '%ff',
    '',
  ])
}

function hexOf(chance: Chance, facts: Facts): string {
  return usually(chance, chance.pick(facts.digests).slice('sha256:'.length), [
    '0'.repeat(64),
    'abc',
    'G'.repeat(64),
    '',
  ])
}

/** A path with something done to it that routers and decoders stumble over. */
function odd(chance: Chance, path: string): string {
  const at = chance.below(path.length + 1)
  const piece = chance.pick([
    '/',
    '//',
    '/.',
    '/..',
    '%2f',
    '%2F..',
    '%00',
    '%',
    '%c0%af',
    '%ed%a0%80',
    '\u00ff',
    '?',
    '??',
    '&',
    '#',
    ';',
    '%25',
    '+',
    "'",
    '"',
    '{}',
    '\t',
    'a'.repeat(9_000),
  ])
  return path.slice(0, at) + piece + path.slice(at)
}

function headersOf(chance: Chance, facts: Facts): readonly string[] {
  const few = chance.once(2) ? 0 : 3
  const headers = chance.some(ODD_HEADERS, few).map((header) => header(chance, facts))
  if (chance.once(12)) headers.push(chance.pick(SPOILERS)(chance, facts))
  if (!chance.once(60)) headers.push('Host: x')
  if (!chance.once(20)) headers.push('Connection: close')
  if (!chance.once(12)) headers.push(`Authorization: Bearer ${facts.token}`)
  return headers
}

const ODD_HEADERS: readonly ((chance: Chance, facts: Facts) => string)[] = [
  (chance, facts) => `Depot-Min-Generation: ${gidOf(chance, facts)}`,
  (chance, facts) => `Depot-Exact-Generation: ${gidOf(chance, facts)}`,
  (chance, facts) => `If-Match: "${gidOf(chance, facts)}"`,
  (chance) => `If-None-Match: ${chance.pick(['*', '"x"', 'W/"x"', '"', ',,,', `"${'x'.repeat(3_000)}"`])}`,
  (chance, facts) => `If-Range: "sha256-${hexOf(chance, facts)}"`,
  (chance) =>
    `Range: bytes=${chance.pick(['0-0', '-1', '5-', '9-2', '0-1,2-3', '99999999999999999999-', '-', 'a'])}`,
  (chance) => `Accept-Encoding: ${chance.pick(['gzip', '*', 'gzip;q=0', 'gzip;q=x', ',,;;', 'br'])}`,
  (chance) =>
    `Prefer: ${chance.pick(['wait=0', 'wait=1', 'wait=x', 'respond-async, wait=1', ',', 'wait=-1'])}`,
  (chance) =>
    `Authorization: ${chance.pick(['Bearer', 'Bearer x', 'Basic eDp5', 'Bearer \u00ff', `Bearer ${'x'.repeat(2_000)}`])}`,
  (chance) => `Idempotency-Key: ${chance.pick(['k', 'k'.repeat(256), '', '\u00e9', 'k1', 'k2'])}`,
  (chance) => `Upload-Offset: ${chance.pick(NUMBERS)}`,
  (chance) => `Upload-Length: ${chance.pick(NUMBERS)}`,
  (chance) => `Upload-Complete: ${chance.pick(['?0', '?1', '1', ''])}`,
  (chance) => `Expect: ${chance.pick(['100-continue', 'x'])}`,
  (chance) => `X-Forwarded-For: ${chance.pick(['127.0.0.1', 'x', ','])}`,
  (chance) => `Connection: ${chance.pick(['close', 'keep-alive', 'Upgrade', 'x'])}`,
  () => 'Upgrade: websocket',
  (chance) => `Content-Type: ${chance.pick(TYPES)}`,
]

/** With one of these hardly any request gets far. */
const SPOILERS: readonly ((chance: Chance, facts: Facts) => string)[] = [
  (chance) =>
    `X-Odd: ${chance
      .bytes(chance.below(40))
      .toString('latin1')
      .replaceAll(/[\r\n\0]/g, ' ')}`,
  (chance) => `${chance.bytes(3).toString('latin1')}: x`,
  (chance) => `X-Large: ${'x'.repeat(chance.below(20_000))}`,
  () => 'Host: y',
  () => 'Transfer-Encoding: chunked',
  () => 'Content-Length: 3',
  () => ' folded',
]

interface Body {
  readonly type: string
  readonly bytes: Buffer
}

type BodyOf = (chance: Chance, facts: Facts) => Body

const TEXTS = ['a', 'b', 'hello', 'c'.repeat(70_000)]

const BODIES = {
  stage: (chance, facts) => json({ message: 'x', base: chance.pick([...facts.gids, 'g1', undefined]) }),
  missing: (chance) => json({ blobs: chance.some(TEXTS, 3).map(declared) }),
  batch: (chance) => ({
    type: 'application/vnd.depot.blobs',
    bytes: encodeBatch(
      chance.some(TEXTS, 3).map((text) => ({ digest: digestOf(text), bytes: Buffer.from(text) })),
    ),
  }),
  bytes: (chance) => ({ type: 'application/octet-stream', bytes: Buffer.from(chance.pick(TEXTS)) }),
  partial: (chance) => ({ type: 'application/partial-upload', bytes: Buffer.from(chance.pick(TEXTS)) }),
  channel: (chance) => json({ frozen: chance.pick([false, false, false, true, null, 'x']) }),
  manifest: (chance) => json(manifestOf(chance)),
  manifests: (chance) => ({
    type: 'application/x-ndjson',
    bytes: Buffer.from(
      chance
        .some([1, 2, 3], 5)
        .map(() => `${JSON.stringify(manifestOf(chance))}\n`)
        .join(''),
    ),
  }),
  status: (chance) => json({ status: chance.pick(['yanked', 'deprecated', null, 'x']), reason: 'x' }),
  commit: (chance) => json(chance.pick([{}, { message: 'x' }, null])),
  rollback: (chance, facts) => json({ to: refOf(chance, facts) }),
  token: (chance) => json({ label: 'fuzz', scopes: [chance.pick(['read', 'publish:stable', 'root'])] }),
  odd: (chance) =>
    chance.pick([
      json(chance.pick([[], null, 'x', 1, {}, '\ud800'])),
      { type: 'application/json', bytes: Buffer.from('['.repeat(chance.below(20_000))) },
      { type: chance.pick(TYPES), bytes: chance.bytes(chance.below(2_000)) },
    ]),
} satisfies Readonly<Record<string, BodyOf>>
const KINDS = Object.keys(BODIES) as (keyof typeof BODIES)[]

function bodyOf(chance: Chance, facts: Facts, kind: keyof typeof BODIES): Body {
  const make: BodyOf = BODIES[kind]
  const body = make(chance, facts)
  return chance.once(10) ? { ...body, bytes: mutated(chance, body.bytes) } : body
}

function json(value: unknown): Body {
  return { type: 'application/json', bytes: Buffer.from(JSON.stringify(value)) }
}

function declared(text: string): object {
  return { digest: digestOf(text), size: text.length }
}

function manifestOf(chance: Chance): object {
  return {
    name: usually(chance, 'hello', NAMES),
    version: usually(chance, '1.0.0', [...VERSIONS, '3.0.0', '4.0.0']),
    files: chance
      .some(TEXTS, 3)
      .map((text, at) => ({ path: usually(chance, `${at}.txt`, PATHS), ...declared(text) })),
    ...(chance.once(3) ? { dependencies: { x: chance.pick(['^1.0.0', 'x', '']) } } : {}),
    ...(chance.once(5) ? { annotations: { a: [1, { b: null }] } } : {}),
  }
}

/** How the body says where it ends; now and then it lies. */
function framingOf(chance: Chance, { type, bytes }: Body): readonly string[] {
  const length = chance.once(12) ? bytes.length + chance.below(20) - 10 : bytes.length
  const lines = [`Content-Length: ${length}`]
  return chance.once(20) ? lines : [`Content-Type: ${chance.once(10) ? chance.pick(TYPES) : type}`, ...lines]
}

function sent(chance: Chance, { bytes }: Body): Buffer {
  return chance.once(20) ? bytes.subarray(0, chance.below(bytes.length + 1)) : bytes
}

function mutated(chance: Chance, bytes: Buffer): Buffer {
  let changed = Buffer.from(bytes)
  for (let round = chance.below(4); round >= 0 && changed.length > 0; round -= 1) {
    const at = chance.below(changed.length)
    const kind = chance.below(4)
    if (kind === 0) changed[at] = chance.below(256)
    else if (kind === 1)
      changed = Buffer.concat([changed.subarray(0, at), changed.subarray(at + 1 + chance.below(8))])
    else if (kind === 2)
      changed = Buffer.concat([changed.subarray(0, at), chance.bytes(chance.below(8)), changed.subarray(at)])
    else changed = Buffer.concat([changed.subarray(0, at), changed.subarray(chance.below(at + 1))])
  }
  return changed
}
