/**
 * Whether this depot may commit, as far as the nodes that follow it tell (PROTOCOL §10).
 *
 * A disk that was rolled back does not know it: only who has followed the depot can tell. So an origin remembers who
 * follows it, asks them when it starts, which is to wait for their heartbeats, and holds every later heartbeat against
 * its log as well. A depot that nobody has ever followed has nobody to ask, and is sure; unless its folder was restored
 * from a backup, for then something may well be lost.
 *
 * What somebody has told is believed until the log agrees with it: after an adoption it has the lost generations, after
 * a fork they are lost.
 */
import type { Ledger } from '../../ledger/ledger.ts'
import type { LineageNotes } from '../../ledger/lineage/notes.ts'
import { type Gid, isGid, type Lineage, partsOf } from '../../model/generation.ts'
import { LIMITS } from '../../model/limits.ts'
import type { Clock } from '../../model/world.ts'
import { type Told, toldBy } from './told.ts'

/**
 * `sure`        it is the origin, and has all that it ever had
 * `asking`      some of those who followed it were not heard yet
 * `unverified`  nobody who could tell was heard
 * `diverged`    `seen` was committed here once, and is lost
 * `superseded`  another node is the origin: `seen` is of a lineage that descends from this one
 */
export type Verdict =
  | { readonly kind: 'sure' | 'asking' | 'unverified' }
  | { readonly kind: 'diverged' | 'superseded'; readonly seen: Gid }

/** What a node says of the generations that it has. */
export interface Testimony {
  readonly id: string
  readonly head: Gid | null
  /** The newest that it has heard of, and how it stands to that. */
  readonly known?: Gid | null
  readonly isDiverged?: boolean
  readonly publicUrl?: string
  readonly lineages?: readonly Lineage[]
}

export interface OriginCheckParts {
  readonly generations: Pick<Ledger['generations'], 'head' | 'get' | 'lineages'>
  readonly notes: LineageNotes
  readonly clock: Pick<Clock, 'monotonic'>
  /** The operator takes it upon himself that nobody can be asked. */
  readonly allowUnverified: boolean
}

const SURE: Verdict = { kind: 'sure' }
/** A node that is heard is heard within so long: every second it tells how it is. */
export const GRACE_MS: number = LIMITS.leaseMs
/** No depot comes to such a number by itself: who tells of one is not believed, or numbers would be used up. */
const BELIEVABLE = 900_000_000_000_000

export class OriginCheck {
  readonly #parts: OriginCheckParts
  readonly #startedMs: number
  /** Who followed before this start, and was not heard since. */
  readonly #expected: Set<string>
  /** Those who are remembered, who was silent for the longest time first. */
  readonly #heard = new Set<string>()
  /** Who has told something that does not agree with the log, and what. */
  readonly #doubts = new Map<string, Gid>()
  #highest = -1
  #isVouchedFor = false

  constructor(parts: OriginCheckParts) {
    this.#parts = parts
    this.#startedMs = parts.clock.monotonic()
    this.#expected = new Set(parts.notes.followers().map(({ id }) => id))
  }

  /** Asked for every request, and nearly always there is nothing to think about. */
  verdict(): Verdict {
    const { notes } = this.#parts
    const isQuiet = this.#expected.size === 0 && this.#doubts.size === 0
    if (isQuiet && notes.note('restored') === undefined && notes.note('superseded') === undefined) return SURE
    return this.#doubt() ?? { kind: this.#standing() }
  }

  /** The highest number that anybody has told of, or that is here. */
  highest(): number {
    return Math.max(this.#highest, this.#parts.generations.head()?.record.number ?? -1)
  }

  /** Those who were not heard since the start: they can be asked where they have told where they are. */
  unheard(): readonly { readonly id: string; readonly publicUrl?: string }[] {
    return this.#parts.notes.followers().filter(({ id }) => this.#expected.has(id))
  }

  /** What a node tells, and whether the verdict is another one then. What has to outlive this process is durable. */
  async hear(testimony: Testimony): Promise<boolean> {
    const { id, head } = testimony
    const before = JSON.stringify(this.verdict())
    this.#forgetSettled()
    for (const seen of seenBy(testimony)) this.#weigh(id, seen, testimony.lineages)
    // Who shows a history that nobody knows here says nothing about this one.
    if (head !== null && this.#told(head, testimony.lineages) !== 'foreign') this.#expected.delete(id)
    const verdict = this.verdict()
    if (verdict.kind === 'superseded') await this.#note('superseded', verdict.seen)
    await this.#settle(verdict)
    await this.#remember(testimony)
    return JSON.stringify(verdict) !== before
  }

  /** A node follows no more. What it has told of lost generations is not forgotten. */
  async left(id: string): Promise<void> {
    if (this.#isInDoubt(id)) return
    this.#forget(id)
    const { notes } = this.#parts
    if (notes.followers().some((follower) => follower.id === id)) await notes.drop(id)
  }

  /** Whether a restored folder is to begin another lineage, and everybody was heard who could tell of numbers. */
  isForkDue(): boolean {
    return this.#isForkWanted() && this.#asked() !== 'asking'
  }

  /** The lost generations were brought back from a node that has them. */
  async adopted(): Promise<void> {
    this.#isVouchedFor = true
    this.#forgetSettled()
    await this.#note('restored', undefined)
  }

  /** Another lineage was begun: what was unsettled before is of no interest any more. */
  async forked(): Promise<void> {
    this.#isVouchedFor = true
    this.#doubts.clear()
    await this.#note('restored', undefined)
    await this.#note('superseded', undefined)
  }

  /** An operator who starts it although nobody can be asked has decided it once and for all. */
  async begin(): Promise<void> {
    if (this.#parts.allowUnverified && this.#parts.notes.followers().length === 0)
      await this.#settle(this.verdict())
  }

  /** Who was not heard for so long is not asked at the next start. Only an origin that is sure forgets anybody. */
  async forgetSilent(): Promise<void> {
    if (this.verdict().kind !== 'sure') return
    for (const id of this.#expected) await this.left(id)
  }

  #told(seen: Gid, lineages?: readonly Lineage[]): Told {
    const { generations } = this.#parts
    const head = generations.head()
    return head === undefined ? 'agrees' : toldBy(generations, head.gid, seen, lineages)
  }

  #weigh(id: string, seen: Gid, lineages: readonly Lineage[] | undefined): void {
    const told = this.#told(seen, lineages)
    const { number } = partsOf(seen)
    if (told !== 'foreign' && number < BELIEVABLE) this.#highest = Math.max(this.#highest, number)
    if (isDoubt(told)) this.#doubts.set(id, seen)
    if (this.#doubts.size > LIMITS.nodes) this.#dropLeastDoubt()
  }

  #dropLeastDoubt(): void {
    const byNumber = [...this.#doubts].sort(([, a], [, b]) => partsOf(a).number - partsOf(b).number)
    for (const [id] of byNumber.slice(0, 1)) this.#doubts.delete(id)
  }

  /** What the log has come to agree with it agrees with for ever. */
  #forgetSettled(): void {
    for (const [id, seen] of this.#doubts) if (!this.#isDoubtful(seen)) this.#doubts.delete(id)
  }

  #isInDoubt(id: string): boolean {
    const seen = this.#doubts.get(id)
    return seen !== undefined && this.#isDoubtful(seen)
  }

  /** Once told, a successor is one for ever; the log only tells when it has come there. */
  #isDoubtful(seen: Gid): boolean {
    return this.#told(seen) !== 'agrees'
  }

  #doubt(): Verdict | undefined {
    const noted = this.#parts.notes.note('superseded')
    const own = this.#parts.generations.head()?.record.lineage
    const seen = [...this.#doubts.values(), ...(noted !== undefined && isGid(noted) ? [noted] : [])]
      .filter((gid) => this.#isDoubtful(gid))
      .sort((a, b) => partsOf(b).number - partsOf(a).number)
    const successor = seen.find((gid) => partsOf(gid).lineage !== own)
    if (successor !== undefined) return { kind: 'superseded', seen: successor }
    const [newest] = seen
    return newest === undefined ? undefined : { kind: 'diverged', seen: newest }
  }

  #standing(): 'sure' | 'asking' | 'unverified' {
    return this.#isForkWanted() ? 'asking' : this.#asked()
  }

  #isForkWanted(): boolean {
    return !this.#isVouchedFor && this.#parts.notes.note('restored') === 'fork'
  }

  #asked(): 'sure' | 'asking' | 'unverified' {
    const { clock, notes, allowUnverified } = this.#parts
    if (this.#isVouchedFor) return 'sure'
    const followers = notes.followers()
    const isRestored = notes.note('restored') !== undefined
    if (followers.length === 0) return isRestored && !allowUnverified ? 'unverified' : 'sure'
    if (this.#expected.size === 0) return 'sure'
    if (clock.monotonic() - this.#startedMs < GRACE_MS) return 'asking'
    // Those who are away can only tell when they come.
    return this.#expected.size < followers.length || allowUnverified ? 'sure' : 'unverified'
  }

  /** A restored folder of which somebody could tell, and has told nothing else, is like any other. */
  async #settle({ kind }: Verdict): Promise<void> {
    if (kind === 'sure') await this.#note('restored', undefined)
  }

  async #note(name: 'restored' | 'superseded', text: string | undefined): Promise<void> {
    const { notes } = this.#parts
    if (notes.note(name) !== text) await notes.write(name, text)
  }

  #forget(id: string): void {
    this.#expected.delete(id)
    this.#heard.delete(id)
  }

  /** Written when it is new, in the place of who was silent for the longest time where there are too many: a node that has nothing yet could not tell anything. */
  async #remember({ id, head, publicUrl }: Testimony): Promise<void> {
    const { notes } = this.#parts
    const followers = notes.followers()
    const known = followers.find((follower) => follower.id === id)
    if (head === null) return
    this.#heard.delete(id)
    this.#heard.add(id)
    if (known !== undefined && known.publicUrl === publicUrl) return
    if (known === undefined && followers.length >= LIMITS.nodes) {
      const [silent = followers[0]?.id ?? ''] = [...this.#expected, ...this.#heard]
      this.#forget(silent)
      await notes.drop(silent)
    }
    await notes.keep({ id, ...(publicUrl === undefined ? {} : { publicUrl }) })
  }
}

/**
 * What it has, and where it finds that its origin tells another history, what it has heard of before: clients may have
 * seen that. What is announced and not active yet nobody was given.
 */
function seenBy({ head, known, isDiverged }: Testimony): readonly Gid[] {
  const heard = isDiverged === true && known !== undefined && known !== null ? [known] : []
  return head === null ? heard : [head, ...heard]
}

function isDoubt(told: Told): boolean {
  return told === 'ahead' || told === 'successor'
}
