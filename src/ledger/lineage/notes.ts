/**
 * What a depot has to remember of its place among others when it starts again (PROTOCOL §10): the nodes that follow it,
 * and what has to be settled before it may commit. A few rows, all of them in memory.
 */
import { failure } from '../../model/errors.ts'
import { LIMITS } from '../../model/limits.ts'
import { textKey } from '../keys.ts'
import type { Store } from '../store.ts'

/** A node that follows this depot. Whoever has restored an old state of the depot learns from it what is lost. */
export interface KnownFollower {
  readonly id: string
  /** Where it can be asked, if it has told. */
  readonly publicUrl?: string
}

/**
 * `restored`    `same` or `fork`: the folder was made of a backup, and goes on in its lineage or is to begin another one
 * `replica`     the folder is one of a replica
 * `superseded`  the gid of a generation whose lineage descends from the own one: another node is the origin
 */
export type NoteName = 'restored' | 'replica' | 'superseded'

/** What a promise resolved for is durable, and is read only then. */
export interface LineageNotes {
  followers(): readonly KnownFollower[]
  /** Fails with `limit-exceeded` when there are too many. */
  keep(follower: KnownFollower): Promise<void>
  drop(id: string): Promise<void>
  note(name: NoteName): string | undefined
  /** Without a text the note is taken away. */
  write(name: NoteName, text: string | undefined): Promise<void>
}

const NOTES: readonly NoteName[] = ['restored', 'replica', 'superseded']

export class LmdbLineageNotes implements LineageNotes {
  readonly #store: Store
  readonly #followers = new Map<string, KnownFollower>()
  readonly #notes = new Map<NoteName, string>()

  constructor(store: Store) {
    this.#store = store
    for (const { value } of store.tables.followers.getRange()) {
      const follower = JSON.parse(value.toString()) as KnownFollower
      this.#followers.set(follower.id, follower)
    }
    for (const name of NOTES) {
      const text = store.tables.marks.get(textKey(name))
      if (text !== undefined) this.#notes.set(name, text.toString())
    }
  }

  followers(): readonly KnownFollower[] {
    return [...this.#followers.values()]
  }

  async keep({ id, publicUrl }: KnownFollower): Promise<void> {
    if (!this.#followers.has(id) && this.#followers.size >= LIMITS.nodes)
      throw failure('limit-exceeded', { what: 'nodes that follow this one', limit: LIMITS.nodes })
    const follower = { id, ...(publicUrl === undefined ? {} : { publicUrl }) }
    const row = Buffer.from(JSON.stringify(follower))
    await this.#store.write([[this.#store.tables.followers, textKey(id), row]])
    this.#followers.set(id, follower)
  }

  async drop(id: string): Promise<void> {
    await this.#store.write([[this.#store.tables.followers, textKey(id), undefined]])
    this.#followers.delete(id)
  }

  note(name: NoteName): string | undefined {
    return this.#notes.get(name)
  }

  async write(name: NoteName, text: string | undefined): Promise<void> {
    const value = text === undefined ? undefined : Buffer.from(text)
    await this.#store.write([[this.#store.tables.marks, textKey(name), value]])
    if (text === undefined) this.#notes.delete(name)
    else this.#notes.set(name, text)
  }
}
