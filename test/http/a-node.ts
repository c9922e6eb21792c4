/**
 * A node that knows what a test tells it, and a relay that answers as a test says: the face over them is that of a
 * replica, whatever its engine is.
 */
import type { NodeMode, NodeState } from '../../src/depot/gate.ts'
import type { Node } from '../../src/depot/node.ts'
import type { Relay, Target } from '../../src/http/gate/gate.ts'
import type { FaceOptions } from '../../src/http/server.ts'
import type { Gid } from '../../src/model/generation.ts'
import { type Engine, engine, published } from '../depot/an-engine.ts'
import { type FacePlace, faceOver, type TestFace } from './a-face.ts'
import { type Asking, asking } from './well-formed.ts'

export class TestNode implements Node {
  mode: NodeMode = 'fresh'
  isDraining = false
  /** Whether another node has what is known. */
  isElsewhere = false
  whenCut: NodeState['whenCut'] = 'refuse'
  isSilent = false
  /** The newest that it has heard of; the head where nothing is said. */
  heard: Gid | undefined
  confirms = 0
  /** How long each hold was to last. */
  readonly waits: number[] = []
  onConfirm: (signal: AbortSignal) => Promise<void> = async () => undefined
  /** By default nothing happens, and the time is over. */
  onHold: (waitMs: number, signal: AbortSignal) => Promise<void>
  readonly #at: Engine

  constructor(at: Engine) {
    this.#at = at
    this.onHold = async (waitMs) => {
      at.clock.advance(waitMs)
    }
  }

  state(): NodeState {
    const { mode, isDraining, whenCut, isSilent } = this
    return { mode, isDraining, whenCut, isOrigin: false, isSilent }
  }

  known(): Gid {
    return this.heard ?? this.#at.depot.head.now().gid
  }

  isKnownElsewhere(): boolean {
    return this.isElsewhere
  }

  async confirm(signal: AbortSignal): Promise<void> {
    this.confirms += 1
    await this.onConfirm(signal)
  }

  async changed(waitMs: number, signal: AbortSignal): Promise<void> {
    this.waits.push(waitMs)
    await this.onHold(waitMs, signal)
  }
}

export interface Replicating extends AsyncDisposable {
  readonly at: Engine
  readonly node: TestNode
  readonly face: TestFace
  readonly ask: Asking
  /** To whom requests were relayed. */
  readonly relayed: Target[]
  /** How long each of them had for its first byte. */
  readonly within: (number | undefined)[]
  /** Whether the relay answers. */
  origin: 'answers' | 'is silent'
}

/** The body of what the origin answers. */
export const OF_ORIGIN = 'of the origin'

/** A node with one release, g1, and a relay of its own. */
export async function replicating(
  place: Partial<FacePlace> = {},
  options: Partial<FaceOptions> = {},
): Promise<Replicating> {
  const at = await engine()
  await published(at, {})
  const node = new TestNode(at)
  const relayed: Target[] = []
  const within: (number | undefined)[] = []
  const relay: Relay = async (_request, reply, { to, withinMs }) => {
    within.push(withinMs)
    relayed.push(to)
    if (here.origin === 'is silent') return false
    const generation = nextOf(at)
    reply.raw.writeHead(200, { 'cache-control': 'no-store', 'depot-generation': generation })
    reply.raw.end(OF_ORIGIN)
    reply.hijack()
    return await Promise.resolve(true)
  }
  const face = await faceOver(at, {}, { standing: node, relay, ...place }, options)
  const here: Replicating = {
    at,
    node,
    face,
    relayed,
    within,
    ask: asking(face),
    origin: 'is silent',
    [Symbol.asyncDispose]: async () => {
      await face[Symbol.asyncDispose]()
      await at[Symbol.asyncDispose]()
    },
  }
  return here
}

/** A generation after the head, `ahead` of it, that nobody has. */
export function nextOf({ depot }: Pick<Engine, 'depot'>, ahead = 1): Gid {
  const { number, lineage } = depot.head.now().record
  return `g${number + ahead}.${lineage}.0123456789abcdef` as Gid
}

/** What the metrics of the face count under this name. */
export async function metric({ ask }: Pick<Replicating, 'ask'>, name: string): Promise<number> {
  const { text } = await ask('/metrics')
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1])
}
