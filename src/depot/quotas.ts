/**
 * Quotas: what a token has uploaded and what it is uploading, together never more than it may.
 *
 * Bytes are held before they are taken and booked when they are here, so that uploads side by side cannot each have
 * what is left. What is booked is counted here from the moment it is held: the ledger shows it when it is durable. So
 * this is the one place that knows what is left, and the one that refuses; the ledger only counts.
 */
import type { Token } from '../ledger/ledger.ts'
import { failure } from '../model/errors.ts'

/** Counts bytes for good. */
type Book = (id: string, bytes: number) => Promise<void>

/** Of a token for as long as somebody has an allowance of it; afterwards the ledger knows all of it. */
interface Account {
  readonly quota: number
  taken: number
  allowances: number
}

export class Quotas {
  readonly #book: Book
  readonly #accounts = new Map<string, Account>()

  constructor(book: Book) {
    this.#book = book
  }

  /** For one upload; `token` is undefined where nobody knows it any more. Fails with `unauthorised`. */
  open(token: Token | undefined): Allowance {
    if (token === undefined) throw failure('unauthorised', { reason: 'the token was revoked' })
    const { id, quotaBytes: quota = Number.POSITIVE_INFINITY, usedBytes: taken } = token
    const account = this.#accounts.get(id) ?? { quota, taken, allowances: 0 }
    account.allowances += 1
    this.#accounts.set(id, account)
    return new Allowance(account, async (bytes) => {
      try {
        if (bytes > 0) await this.#book(id, bytes)
      } catch (error) {
        account.taken -= bytes
        throw error
      } finally {
        account.allowances -= 1
        if (account.allowances === 0) this.#accounts.delete(id)
      }
    })
  }
}

/** What one upload may still bring. Whoever has one settles it, once. */
export class Allowance {
  readonly #account: Account
  readonly #book: (bytes: number) => Promise<void>
  #held = 0

  constructor(account: Account, book: (bytes: number) => Promise<void>) {
    this.#account = account
    this.#book = book
  }

  /** Keeps so many bytes more for this upload. Fails with `quota-exceeded`. */
  hold(bytes: number): void {
    const { quota, taken } = this.#account
    if (taken + bytes > quota) throw failure('quota-exceeded', { quota, used: taken, offered: bytes })
    this.#account.taken += bytes
    this.#held += bytes
  }

  /** Books what came of what was held, and gives the rest back. */
  async settle(came: number): Promise<void> {
    const booked = Math.min(came, this.#held)
    this.#account.taken -= this.#held - booked
    await this.#book(booked)
  }
}
