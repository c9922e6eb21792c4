/** Scopes of tokens: golden vectors, and the truth table of what covers what. */
import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/model/limits.ts'
import { covers, parseScope, parseScopes } from '../../src/model/scope.ts'
import { fixture, type Refused } from './fixture.ts'
import { outcomeOf } from './refusal.ts'

const golden = fixture<{ scopes: string[]; notScopes: (Refused & { code: string })[] }>('names.json')

const NEEDED = [
  'read',
  'publish:stable',
  'publish:stable-2',
  'publish:*',
  'promote:stable',
  'admin',
  'replicate',
] as const

/** What each scope is good for, in the order of `NEEDED`. */
const TRUTH: Readonly<Record<string, string>> = {
  read: 'yes no  no  no  no  no  no',
  'publish:stable': 'yes yes no  no  no  no  no',
  'publish:stable-2': 'yes no  yes no  no  no  no',
  'publish:*': 'yes yes yes yes no  no  no',
  'publish:s': 'yes no  no  no  no  no  no',
  'promote:stable': 'yes no  no  no  yes no  no',
  'promote:*': 'yes no  no  no  yes no  no',
  admin: 'yes yes yes yes yes yes no',
  replicate: 'yes no  no  no  no  no  yes',
}

describe('a scope', () => {
  it.each(golden.scopes)('may be %s', (text) => {
    expect(parseScope(text)).toBe(text)
  })

  it.each(golden.notScopes)('is not: $why', ({ text, code }) => {
    expect(outcomeOf(() => parseScope(text))).toBe(code)
  })
})

describe.each(Object.entries(TRUTH))('whoever holds %s', (scope, row) => {
  it.each(NEEDED.map((needed, at) => [needed, row.split(/ +/)[at]]))(
    'may do what needs %s: %s',
    (needed, may) => {
      expect(covers([parseScope(scope)], needed)).toBe(may === 'yes')
    },
  )
})

describe('several scopes', () => {
  it('are good for what any of them is good for', () => {
    const held = parseScopes(['publish:stable', 'promote:*', 'replicate'])
    expect(NEEDED.filter((needed) => covers(held, needed))).toEqual([
      'read',
      'publish:stable',
      'promote:stable',
      'replicate',
    ])
  })

  it('are good for nothing when there are none', () => {
    expect(NEEDED.filter((needed) => covers(parseScopes([]), needed))).toEqual([])
  })

  it('are at most a hundred', () => {
    const most = Array.from({ length: LIMITS.scopesPerToken }, (_, at) => `publish:c${at}`)
    expect(parseScopes(most)).toEqual(most)
    expect(outcomeOf(() => parseScopes([...most, 'read']))).toBe('limit-exceeded')
  })

  it('are refused when one of them is', () => {
    expect(outcomeOf(() => parseScopes(['read', 'publish:A']))).toBe('name-invalid')
  })
})
