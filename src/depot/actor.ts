/**
 * Who asks: a token that was found valid, or nobody. The engine asks an actor for rights; it knows no headers.
 */
import { failure } from '../model/errors.ts'
import { covers, type Scope } from '../model/scope.ts'

export interface Actor {
  /** Id of the token. */
  readonly id: string
  /** What people call it; the publisher of a generation. */
  readonly label: string
  readonly scopes: readonly Scope[]
}

/** Fails with `forbidden` when the actor lacks the scope. */
export function demand(actor: Actor, scope: string): void {
  if (!covers(actor.scopes, scope)) throw failure('forbidden', { scope })
}

/** Fails with `forbidden` when the actor may publish nowhere at all. */
export function demandPublisher(actor: Actor): void {
  const publishes = actor.scopes.some((scope) => /^(?:admin$|publish:|promote:)/.test(scope))
  if (!publishes) throw failure('forbidden', { scope: 'publish:<channel>' })
}

export function isAdmin(actor: Actor): boolean {
  return covers(actor.scopes, 'admin')
}
