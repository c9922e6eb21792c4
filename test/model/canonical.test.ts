/** Canonical JSON against RFC 8785 itself: its vectors, and an oracle that knows nothing of the library. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalBytes, canonicalText, isCanonical, type Json } from '../../src/model/canonical.ts'
import { outcomeOf } from './refusal.ts'
import { texts } from './texts.ts'

/** RFC 8785 as one reads it: members by UTF-16 units, strings by the table of §3.2.2.2, numbers by ECMAScript. */
function oracle(value: Json): string {
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value === 'number') return value === 0 ? '0' : String(value)
  if (typeof value === 'string') return quoted(value)
  if (Array.isArray(value)) return `[${(value as readonly Json[]).map(oracle).join(',')}]`
  const members = Object.entries(value as Record<string, Json>)
  members.sort(([a], [b]) => compareUnits(a, b))
  return `{${members.map(([name, member]) => `${quoted(name)}:${oracle(member)}`).join(',')}}`
}

const SHORT: Readonly<Record<string, string>> = {
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\f': '\\f',
  '\r': '\\r',
  '"': '\\"',
  '\\': '\\\\',
}

function quoted(text: string): string {
  const units = Array.from({ length: text.length }, (_, at) => {
    const unit = text.charAt(at)
    const code = text.charCodeAt(at)
    return SHORT[unit] ?? (code < 0x20 ? `\\u${code.toString(16).padStart(4, '0')}` : unit)
  })
  return `"${units.join('')}"`
}

function compareUnits(a: string, b: string): number {
  for (let at = 0; at < Math.min(a.length, b.length); at += 1) {
    const difference = a.charCodeAt(at) - b.charCodeAt(at)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

const units = fc.oneof(
  texts,
  fc.string({
    unit: fc.constantFrom('a', 'é', '\u0000', '\u001f', '\u007f', '\u2028', '\ue000', '\uffff', '\u{1f600}'),
  }),
)
const names = fc.oneof(
  units,
  fc.constantFrom('__proto__', 'constructor', 'toJSON', 'toString', 'length', '0', '10', '9', ''),
)
const numbers = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.integer({ min: -30, max: 30 }).map((exponent) => 10 ** exponent),
)

const { value: values } = fc.letrec<{ value: Json; members: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, false),
    numbers,
    units,
    fc.array(tie('value'), { maxLength: 4 }),
    tie('members'),
  ),
  members: fc
    .uniqueArray(fc.tuple(names, tie('value')), { maxLength: 5, selector: ([name]) => name })
    .map((members) => Object.fromEntries(members) as Json),
}))

/** The number with these IEEE 754 bits. */
function float(hex: string): number {
  return Buffer.from(hex, 'hex').readDoubleBE()
}

describe('canonical JSON', () => {
  it('is what RFC 8785 says, whatever the value', () => {
    fc.assert(
      fc.property(values, (value) => {
        expect(canonicalText(value)).toBe(oracle(value))
      }),
      { numRuns: 500 },
    )
  })

  it('says the same value again when it is read, and is its own canonical form', () => {
    fc.assert(
      fc.property(values, (value) => {
        const text = canonicalText(value)
        expect(canonicalText(JSON.parse(text) as Json)).toBe(text)
      }),
    )
  })

  it('is told from every other text of the same value', () => {
    fc.assert(
      fc.property(fc.oneof(values, fc.dictionary(names, fc.oneof(units, numbers))), (value) => {
        const text = canonicalText(value)
        expect(isCanonical(text, JSON.parse(text) as Json)).toBe(true)
        for (const other of [
          JSON.stringify(value),
          JSON.stringify(value, undefined, 1),
          `${text} `,
          ` ${text}`,
        ])
          expect(isCanonical(other, JSON.parse(other) as Json)).toBe(other === text)
      }),
      { numRuns: 500 },
    )
  })

  it.each([
    '{"a":1,"a":1}',
    '{"a":-0}',
    '{"a":1.0}',
    '{"b":1,"a":1}',
    '{"a":"\\ud800"}',
    '{"a":1e999}',
    '"\\ud800"',
  ])('is not %s', (text) => {
    expect(isCanonical(text, JSON.parse(text) as Json)).toBe(false)
  })

  it('does not depend on the order in which members were set', () => {
    fc.assert(
      fc.property(fc.dictionary(names, values, { maxKeys: 6 }), (members) => {
        const backwards = Object.fromEntries(Object.entries(members).reverse())
        expect(canonicalText(backwards)).toBe(canonicalText(members))
      }),
    )
  })

  it('is UTF-8 as bytes', () => {
    expect(canonicalBytes('€😀').toString('hex')).toBe('22e282acf09f988022')
  })

  it('is the example of RFC 8785 §3.2.2', () => {
    const sent = String.raw`{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],
      "string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}`
    expect(canonicalText(JSON.parse(sent) as Json)).toBe(
      String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],` +
        String.raw`"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    )
  })

  it('orders members as the example of RFC 8785 §3.2.3', () => {
    const sent = { '€': 1, '\r': 2, '\ufb33': 3, '1': 4, '😀': 5, '\u0080': 6, ö: 7 }
    expect(Object.values(JSON.parse(canonicalText(sent).replace('"1"', '"one"')) as object)).toEqual([
      2, 4, 6, 7, 1, 5, 3,
    ])
  })

  it.each([
    ['0000000000000000', '0'],
    ['8000000000000000', '0'],
    ['0000000000000001', '5e-324'],
    ['8000000000000001', '-5e-324'],
    ['7fefffffffffffff', '1.7976931348623157e+308'],
    ['ffefffffffffffff', '-1.7976931348623157e+308'],
    ['4340000000000000', '9007199254740992'],
    ['c340000000000000', '-9007199254740992'],
    ['4430000000000000', '295147905179352830000'],
    ['44b52d02c7e14af5', '9.999999999999997e+22'],
    ['44b52d02c7e14af6', '1e+23'],
    ['44b52d02c7e14af7', '1.0000000000000001e+23'],
    ['444b1ae4d6e2ef4e', '999999999999999700000'],
    ['444b1ae4d6e2ef4f', '999999999999999900000'],
    ['444b1ae4d6e2ef50', '1e+21'],
    ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
    ['3eb0c6f7a0b5ed8d', '0.000001'],
    ['41b3de4355555553', '333333333.3333332'],
    ['41b3de4355555554', '333333333.33333325'],
    ['41b3de4355555555', '333333333.3333333'],
    ['41b3de4355555556', '333333333.3333334'],
    ['41b3de4355555557', '333333333.33333343'],
    ['becbf647612f3696', '-0.0000033333333333333333'],
    ['43143ff3c1cb0959', '1424953923781206.2'],
  ])('writes the double %s as %s (RFC 8785, appendix B)', (hex, text) => {
    expect(canonicalText(float(hex))).toBe(text)
  })

  it.each([
    ['not a number', Number.NaN],
    ['infinity', Number.POSITIVE_INFINITY],
    ['infinity in a list', [1, Number.NEGATIVE_INFINITY]],
    ['half a surrogate pair', '\ud800'],
    ['a surrogate pair the wrong way round', '\udc00\ud800'],
    ['half a surrogate pair as the name of a member', { '\udfff': 1 }],
    ['half a surrogate pair deep inside', { a: [{ b: 'x\ud83d' }] }],
  ])('refuses %s', (_, value) => {
    expect(outcomeOf(() => canonicalText(value))).toBe('bad-request')
  })

  it('leaves out members that are undefined, as if they were not there', () => {
    expect(canonicalText({ a: undefined, b: 1, c: undefined })).toBe('{"b":1}')
  })

  it('refuses nothing at all', () => {
    expect(outcomeOf(() => canonicalText(undefined as unknown as Json))).toBe('bad-request')
  })

  it('keeps a member that is called __proto__', () => {
    expect(canonicalText(JSON.parse('{"b":1,"__proto__":{"c":2}}') as Json)).toBe(
      '{"__proto__":{"c":2},"b":1}',
    )
  })

  it('goes as deep as the value does', () => {
    const text = '['.repeat(50_000) + ']'.repeat(50_000)
    expect(canonicalText(JSON.parse(text) as Json) === text).toBe(true)
  })
})
