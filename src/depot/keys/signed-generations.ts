/**
 * The log of a depot that commits: whoever moves its head does so with signatures, for nobody gets past this. Nothing
 * unsigned is ever visible, because the ledger writes both in one row.
 */
import type { Adoption, Flip, From, Generations, SignedGid } from '../../ledger/ledger.ts'
import type { Generation, Gid, Lineage, LineageId } from '../../model/generation.ts'
import type { Turns } from '../commit/turns.ts'
import type { Signers } from './signers.ts'

export class SignedGenerations implements Generations {
  readonly #log: Generations
  readonly #signers: Signers
  readonly #turns: Turns

  constructor(log: Generations, signers: Signers, turns: Turns) {
    this.#log = log
    this.#signers = signers
    this.#turns = turns
  }

  /** No key comes or goes between the signature and the moment in which it can be seen. */
  async flip(flip: Flip): Promise<Generation> {
    return await this.#turns.take(async () => {
      const signatures = this.#signers.sign(flip.record, flip.bytes)
      return await this.#log.flip({ ...flip, signatures })
    })
  }

  head(): Generation | undefined {
    return this.#log.head()
  }

  get(gid: Gid): Generation | undefined {
    return this.#log.get(gid)
  }

  isHeld(gid: Gid): boolean {
    return this.#log.isHeld(gid)
  }

  list(from: From, limit: number): readonly Generation[] {
    return this.#log.list(from, limit)
  }

  lineages(): ReadonlyMap<LineageId, Lineage> {
    return this.#log.lineages()
  }

  async adopt(adoption: Adoption): Promise<Generation> {
    return await this.#log.adopt(adoption)
  }

  async sign(signed: readonly SignedGid[]): Promise<void> {
    await this.#log.sign(signed)
  }

  async hold(gid: Gid): Promise<void> {
    await this.#log.hold(gid)
  }
}
