/**
 * A history that was read whole: requests as rows of columns, and what is known beside them. Nothing is judged here.
 */
import { createReadStream } from 'node:fs'
import { StringDecoder } from 'node:string_decoder'
import { type Column, dense, sparse, Texts } from './columns.ts'
import type { ContentLine, Kind, Line, ListedLine, RequestLine, RetiredLine, Trouble } from './line.ts'
import { splitPin } from './line.ts'
import { Order } from './order.ts'
import { Windows } from './windows.ts'

/** Texts that nearly all requests have. */
const COMMON = [
  'client',
  'path',
  'pin',
  'through',
  'generation',
  'node',
  'etag',
  'cacheControl',
  'digest',
] as const
/** Texts that few have. */
const RARE = [
  'session',
  'min',
  'exact',
  'ifNoneMatch',
  'ifRange',
  'range',
  'key',
  'relayed',
  'floor',
  'accepted',
  'head',
  'encoding',
  'type',
  'location',
  'reprDigest',
  'whole',
  'problem',
  'made',
  'error',
] as const

export type TextField = (typeof COMMON)[number] | (typeof RARE)[number]
export type NumberField = 'start' | 'end' | 'first' | 'status' | 'bytes' | 'length' | 'budget' | 'hop'

const KINDS: readonly Kind[] = ['K0', 'K1', 'K2', 'K3', 'K4', 'K5', 'K6', 'K7']
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']
const FIELDS: readonly TextField[] = [...COMMON, ...RARE]
/** Between the values of a header that came more than once. */
const BETWEEN = ' | '

export class History {
  readonly texts: Texts = new Texts()
  readonly order: Order = new Order()
  readonly retired: RetiredLine[] = []
  readonly contents: ContentLine[] = []
  readonly listed: ListedLine[] = []
  readonly windows: Windows = new Windows()
  #length = 0
  readonly #texts: Readonly<Record<TextField, Column>>
  readonly #numbers: Readonly<Record<NumberField, Column>>
  readonly #kinds = dense((rows) => new Uint8Array(rows))
  readonly #methods = dense((rows) => new Uint8Array(rows))
  readonly #previews = sparse(0)
  readonly #stock = sparse(0)

  constructor() {
    const common = COMMON.map((name) => [name, dense((rows) => new Uint32Array(rows))] as const)
    const rare = RARE.map((name) => [name, sparse(0)] as const)
    this.#texts = Object.fromEntries([...common, ...rare]) as Record<TextField, Column>
    const times = (): Column => dense((rows) => new Float64Array(rows))
    this.#numbers = {
      start: times(),
      end: times(),
      first: times(),
      bytes: times(),
      status: dense((rows) => new Uint16Array(rows)),
      length: sparse(Number.NaN),
      budget: sparse(Number.NaN),
      hop: sparse(0),
    }
  }

  /** How many requests there are. */
  get length(): number {
    return this.#length
  }

  add(line: Line): void {
    switch (line.what) {
      case 'request':
        this.#addRequest(line)
        break
      case 'active':
        this.order.add(line)
        break
      case 'lineage':
        this.order.addLineage(line)
        break
      case 'retired':
        this.retired.push(line)
        break
      case 'content':
        this.contents.push(line)
        break
      case 'listed':
        this.listed.push(line)
        break
      case 'window':
        this.windows.add(line)
        break
    }
  }

  /** Undefined where the request has none. */
  text(field: TextField, row: number): string | undefined {
    return this.texts.textOf(this.#texts[field].get(row))
  }

  /** The same as a number that is equal for equal texts; 0 where there is none. */
  id(field: TextField, row: number): number {
    return this.#texts[field].get(row)
  }

  /** NaN where there is none; 0 for the status of a request that got no answer. */
  number(field: NumberField, row: number): number {
    return this.#numbers[field].get(row)
  }

  kind(row: number): Kind {
    return KINDS[this.#kinds.get(row)]!
  }

  method(row: number): string {
    return METHODS[this.#methods.get(row)] ?? 'other'
  }

  hasPreview(row: number): boolean {
    return this.#previews.get(row) === 1
  }

  /** Of a client that pins nothing and sends no floor. */
  isStock(row: number): boolean {
    return this.#stock.get(row) === 1
  }

  url(row: number): string {
    const pin = this.text('pin', row)
    return pin === undefined ? (this.text('path', row) ?? '') : `/g/${pin}${this.text('path', row)}`
  }

  /** Whether some of the time of a request lies in such a window. */
  isDuring(row: number, ...troubles: readonly Trouble[]): boolean {
    return this.windows.isDuring(this.number('start', row), this.number('end', row), troubles)
  }

  /** Milliseconds from `start` to `end` that lie in such windows. */
  within(start: number, end: number, ...troubles: readonly Trouble[]): number {
    return this.windows.within(start, end, troubles)
  }

  #addRequest(line: RequestLine): void {
    const row = this.#length
    this.#length += 1
    const { pin, path } = splitPin(line.url)
    // The age in Depot-Node would make it another text every time.
    const node = line.node?.replace(/;age=[^;]*/, '')
    const derived = { pin, path, node, generation: line.generations?.join(BETWEEN) }
    for (const field of FIELDS) {
      const text = isDerived(field) ? derived[field] : line[field]
      this.#texts[field].set(row, this.texts.idOf(text))
    }
    for (const field of ['start', 'end', 'bytes'] as const) this.#numbers[field].set(row, line[field])
    this.#numbers.first.set(row, line.first ?? Number.NaN)
    this.#numbers.status.set(row, line.status ?? 0)
    for (const field of ['length', 'budget', 'hop'] as const)
      if (line[field] !== undefined) this.#numbers[field].set(row, line[field])
    this.#kinds.set(row, KINDS.indexOf(line.kind))
    const method = METHODS.indexOf(line.method)
    this.#methods.set(row, method === -1 ? METHODS.length : method)
    if (line.preview === true) this.#previews.set(row, 1)
    if (line.stock === true) this.#stock.set(row, 1)
  }
}

function isDerived(field: TextField): field is 'pin' | 'path' | 'node' | 'generation' {
  return field === 'pin' || field === 'path' || field === 'node' || field === 'generation'
}

export function historyOf(lines: Iterable<Line>): History {
  const history = new History()
  for (const line of lines) history.add(line)
  return history
}

/** Reads files that a recorder wrote. A last line that a killed process did not finish is left out. */
export async function readHistory(...paths: readonly string[]): Promise<History> {
  const history = new History()
  for (const path of paths) {
    const decoder = new StringDecoder('utf8')
    let rest = ''
    for await (const piece of createReadStream(path, { highWaterMark: 1_048_576 }) as AsyncIterable<Buffer>) {
      const lines = (rest + decoder.write(piece)).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) history.add(JSON.parse(line) as Line)
    }
  }
  return history
}
