/**
 * A balancer with the two tiers of PROTOCOL §12: nodes that are ready, and where none is, nodes that serve what they
 * have. It notices what it notices by its checks alone, some time after it is so.
 */
import { CLIENTS } from './cluster.ts'
import type { Network } from './network.ts'
import type { VoterNode } from './voter-node.ts'
import type { World } from './world.ts'

interface Check {
  readonly everyMs: number
  readonly fall: number
  readonly rise: number
}

const READY: Check = { everyMs: 500, fall: 2, rise: 2 }
const SERVES: Check = { everyMs: 1_000, fall: 3, rise: 2 }
/** So long a check may take before it has failed. */
const MOST_MS = 400

export class Balancer {
  readonly #world: World
  readonly #network: Network
  readonly #ready = new Set<VoterNode>()
  readonly #serving = new Set<VoterNode>()

  constructor(world: World, network: Network, voters: readonly VoterNode[]) {
    this.#world = world
    this.#network = network
    for (const voter of voters) {
      this.#watch(voter, READY, false, this.#ready)
      this.#watch(voter, SERVES, true, this.#serving)
    }
  }

  /** Who gets the next request, and whether that is somebody for want of a better one. */
  choose(): { readonly voter: VoterNode; readonly isLax: boolean } | undefined {
    const isLax = this.#ready.size === 0
    const tier = [...(isLax ? this.#serving : this.#ready)]
    return tier.length === 0 ? undefined : { voter: this.#world.chance.pick(tier), isLax }
  }

  #watch(voter: VoterNode, { everyMs, fall, rise }: Check, isEnough: boolean, up: Set<VoterNode>): void {
    const { name } = voter.machine
    let inRow = 0
    let said = false
    const check = (): void => {
      this.#world.after(everyMs, check)
      const isCut = this.#network.isCut(CLIENTS, name) || this.#network.isCut(name, CLIENTS)
      const says = !isCut && voter.isReady(isEnough)
      this.#world.after(this.#world.between(0, MOST_MS), () => {
        inRow = says === said ? inRow + 1 : 1
        said = says
        if (says && inRow >= rise) up.add(voter)
        if (!says && inRow >= fall && up.delete(voter) && this.#world.isTraced)
          this.#world.tell('balancer', `${name} is ${isEnough ? 'down' : 'not ready'}`)
      })
    }
    this.#world.after(this.#world.between(0, everyMs), check)
  }
}
