/**
 * Follows the tokens of an origin (PROTOCOL §4): waits there for the next change, and takes it over into the ledger of
 * this node before it asks again. So a revocation counts here as soon as it is durable here, and a node that was
 * killed asks from the last edition that it has.
 *
 * Every answer, also that nothing has changed, confirms the copy for the moment in which it was asked for: nobody knows
 * when in all that waiting it was given.
 */
import type { Access } from '../depot/access.ts'
import type { AccessEdition, Token, TokensSince } from '../ledger/ledger.ts'
import { failure, isFailure } from '../model/errors.ts'
import { parseInstant } from '../model/instant.ts'
import { LIMITS } from '../model/limits.ts'
import { clip } from '../model/name.ts'
import { parseScopes } from '../model/scope.ts'
import { slices } from '../model/slice.ts'
import type { Clock, Random } from '../model/world.ts'
import type { AccessToken } from '../wire/replication.ts'
import type { AccessChange } from './origin-calls.ts'
import { overAndOver, type Sleep, unlessSilent, WaitingAsk } from './sleep.ts'

export interface AccessFollowerParts {
  readonly access: Pick<Access, 'edition' | 'adopt' | 'confirm'>
  /** What changed after an edition, as soon as something has; undefined when nothing did within `waitMs`. */
  readonly changeAfter: (
    edition: string,
    waitMs: number,
    signal: AbortSignal,
  ) => Promise<AccessChange | undefined>
  readonly clock: Pick<Clock, 'monotonic'>
  readonly random: Random
  readonly sleep: Sleep
  readonly events?: Partial<AccessEvents>
}

/** Called in passing: they must be short, and never fail. */
export interface AccessEvents {
  /** So many tokens were added, revoked or, with a whole list, all taken over. */
  adopted(edition: string, tokens: number): void
  failed(error: unknown, retryMs: number): void
}

export class AccessFollower {
  readonly #parts: AccessFollowerParts
  readonly #asks: WaitingAsk

  constructor(parts: AccessFollowerParts) {
    this.#parts = parts
    this.#asks = new WaitingAsk(parts.clock, LIMITS.accessWaitMs)
  }

  /** Follows until the signal is aborted, and resolves when nothing is under way any more. */
  async run(signal: AbortSignal): Promise<void> {
    await overAndOver(
      this.#parts,
      signal,
      async () => await this.#follow(signal),
      (error, retryMs) => this.#parts.events?.failed?.(error, retryMs),
    )
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { access, changeAfter, clock, events } = this.#parts
    const asked = clock.monotonic()
    await this.#asks.once(
      async (waitMs) => await changeAfter(access.edition(), waitMs, unlessSilent(signal, waitMs)),
      async (change) => {
        const adopted = await adoptable(change, clock)
        await access.adopt(adopted)
        events?.adopted?.(adopted.edition, adopted.tokens.length)
      },
    )
    access.confirm(asked)
  }
}

/** Fails with `answer-invalid` where a line says what no token can be. */
export async function adoptable(
  { edition, isWhole, tokens: sent }: AccessChange,
  clock: Pick<Clock, 'monotonic'>,
): Promise<TokensSince> {
  const pace = slices(clock)
  const tokens: Token[] = []
  for (const token of sent) {
    tokens.push(tokenOf(token))
    await pace.breathe()
  }
  return { edition: edition as AccessEdition, isWhole, tokens }
}

/** What it has used is counted by the node that takes its uploads; a copy of the depot takes it over. */
function tokenOf({ id, hash, label, scopes, created, ...more }: AccessToken): Token {
  const { expires, revoked, quotaBytes, usedBytes = 0 } = more
  if (id === '' || id.length > LIMITS.tokenIdBytes) throw strange(`a token called "${clip(id)}"`)
  try {
    return {
      id,
      hash,
      label,
      scopes: parseScopes(scopes),
      createdMs: parseInstant(created),
      usedBytes,
      ...(quotaBytes === undefined ? {} : { quotaBytes }),
      ...(expires === undefined ? {} : { expiresMs: parseInstant(expires) }),
      ...(revoked === undefined ? {} : { revokedMs: parseInstant(revoked) }),
    }
  } catch (error) {
    if (isFailure(error)) throw strange(`token ${id}: ${error.message}`)
    throw error
  }
}

function strange(reason: string): Error {
  return failure('answer-invalid', { url: 'the tokens of the origin', reason })
}
