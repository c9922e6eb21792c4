/**
 * What a token may do (DESIGN §7): `publish:<channel>`, `promote:<channel>`, `admin`, `replicate`, `read`.
 *
 * The channel may be `*`. `admin` includes everything but `replicate`, which is a node's and not a person's.
 */
import { failure } from './errors.ts'
import { LIMITS } from './limits.ts'
import { clip, parseChannelName } from './name.ts'

declare const brand: unique symbol
export type Scope = string & { readonly [brand]: 'Scope' }

const PLAIN = new Set(['admin', 'replicate', 'read'])
const BY_CHANNEL = /^(publish|promote):(.+)$/

/** Fails with `bad-request` or `name-invalid`. */
export function parseScope(text: string): Scope {
  if (PLAIN.has(text)) return text as Scope
  const channel = BY_CHANNEL.exec(text)?.[2]
  if (channel === undefined)
    throw failure('bad-request', {
      reason: `"${clip(text)}" is not a scope: admin, replicate, read, publish:<channel> or promote:<channel>`,
    })
  if (channel !== '*') parseChannelName(channel)
  return text as Scope
}

/** Fails with `bad-request`, `name-invalid` or `limit-exceeded`. */
export function parseScopes(texts: readonly string[]): readonly Scope[] {
  if (texts.length > LIMITS.scopesPerToken)
    throw failure('limit-exceeded', {
      what: 'scopes of a token',
      limit: LIMITS.scopesPerToken,
      found: texts.length,
    })
  return texts.map(parseScope)
}

/** Whether somebody who holds `scopes` may do what needs `needed`. */
export function covers(scopes: readonly Scope[], needed: string): boolean {
  return scopes.some((scope) => {
    if (scope === needed) return true
    if (scope === 'admin') return needed !== 'replicate'
    if (needed === 'read') return true
    return scope.endsWith(':*') && needed.startsWith(scope.slice(0, -1))
  })
}
