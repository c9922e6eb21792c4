/**
 * What a generation holds, verified from its id down (PROTOCOL §13): the id names the record, the record the metaset,
 * the metaset the root of each channel's tree, and every node its children, all by digest. So whatever caches, proxies
 * and replicas make of a list, a line of it counts only when it stands in the tree.
 *
 * Nodes never change, so they are kept, up to a bound; a session of one release reads three or four.
 */
import { isDeepStrictEqual } from 'node:util'
import { keyOf } from '../../metaset/key.ts'
import { type Channel, channelIn, decodeMetaset, type Metaset } from '../../metaset/metaset.ts'
import { type NodeReader, TreeNode } from '../../metaset/node.ts'
import { lookup, runsOfLeaves } from '../../metaset/read.ts'
import { decodeRelease } from '../../metaset/release.ts'
import type { Tree } from '../../metaset/tree.ts'
import { type Digest, digestOf } from '../../model/digest.ts'
import { failure, isFailure } from '../../model/errors.ts'
import { LIMITS } from '../../model/limits.ts'
import type { ChannelBody, ReleaseBody } from '../../wire/bodies.ts'
import type { Caller } from '../../wire/caller.ts'
import type { Answer } from '../../wire/caller-answer.ts'
import { blobPath } from '../../wire/paths.ts'

export interface TreesOptions {
  readonly caller: Pick<Caller, 'read' | 'done'>
  readonly metaset: Digest
  /** A path under the pin, which says what became of the generation when a part of it is not to be had. */
  readonly witness: string
}

interface Named {
  readonly name: string
  readonly version: string
}

/** Of decoded nodes, roughly. */
const KEPT_BYTES = 16_777_216

export class Trees {
  readonly #options: TreesOptions
  readonly #nodes = new Map<Digest, TreeNode>()
  #keptBytes = 0
  #metaset: Metaset | undefined

  constructor(options: TreesOptions) {
    this.#options = options
  }

  /** The tree of what a channel offers. Fails with `not-found`. */
  async releases(channel: string, signal?: AbortSignal): Promise<Tree> {
    return (await this.#channel(channel, signal)).releases
  }

  /** The line of a release, or undefined when the generation has none. */
  async release(
    channel: string,
    { name, version }: Named,
    signal?: AbortSignal,
  ): Promise<ReleaseBody | undefined> {
    const tree = await this.releases(channel, signal)
    const line = await lookup(this.#reader(signal), tree, keyOf(name, version))
    return line === undefined ? undefined : decodeRelease(line)
  }

  /** Whether the tree has just this line. */
  async has(channel: string, release: ReleaseBody, signal?: AbortSignal): Promise<boolean> {
    const found = await this.release(channel, release, signal)
    return found !== undefined && isDeepStrictEqual({ ...found }, { ...release })
  }

  /** Whether a channel is told of as it is. */
  async hasChannel(
    { name, format, frozen, releases, bytes, root }: ChannelBody,
    signal?: AbortSignal,
  ): Promise<boolean> {
    const channel = await this.#channel(name, signal)
    const tree = channel.releases
    const isSo = channel.format === format && (channel.settings.frozen === true) === frozen
    return isSo && tree.root === root && tree.count === releases && tree.bytes === bytes
  }

  /**
   * The bytes of a catalog as whole leaves, each handed on once its digest is right. Fails with `digest-mismatch`, and
   * ends early where the bytes do.
   */
  async *leaves(
    tree: Tree,
    chunks: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const wanted = this.#leavesOf(tree, signal)
    let leaf = (await wanted.next()).value
    let parts: Uint8Array[] = []
    let held = 0
    for await (const chunk of chunks) {
      let at = 0
      while (leaf !== undefined && held + chunk.length - at >= leaf.bytes) {
        const end = at + leaf.bytes - held
        const bytes = Buffer.concat([...parts, chunk.subarray(at, end)], leaf.bytes)
        const found = digestOf(bytes)
        if (found !== leaf.root) throw failure('digest-mismatch', { expected: leaf.root, found })
        yield bytes
        parts = []
        held = 0
        at = end
        leaf = (await wanted.next()).value
      }
      if (at === chunk.length) continue
      parts.push(chunk.subarray(at))
      held += chunk.length - at
    }
  }

  /** While the leaves of one inner node come, the next one is asked for. */
  async *#leavesOf(tree: Tree, signal?: AbortSignal): AsyncGenerator<Tree, undefined> {
    const runs = runsOfLeaves(this.#reader(signal), tree)
    for (let next = runs.next(); ; ) {
      const run = await next
      if (run.done === true) return
      next = runs.next()
      // Whoever stops before that one has come does not hear of its failure.
      next.catch(() => undefined)
      yield* run.value
    }
  }

  async #channel(name: string, signal?: AbortSignal): Promise<Channel> {
    this.#metaset ??= decodeMetaset(await this.#object(this.#options.metaset, LIMITS.metasetBytes, signal))
    const found = channelIn(this.#metaset, name)
    if (found === undefined || found.settings.dropped === true)
      throw failure('not-found', { what: `channel ${name}` })
    return found
  }

  #reader(signal?: AbortSignal): NodeReader {
    return { node: (digest, level) => this.#nodes.get(digest) ?? this.#load(digest, level, signal) }
  }

  async #load(digest: Digest, level: number, signal?: AbortSignal): Promise<TreeNode> {
    const node = new TreeNode(await this.#object(digest, LIMITS.nodeBytes, signal), level)
    this.#keep(digest, node)
    return node
  }

  #keep(digest: Digest, node: TreeNode): void {
    if (this.#nodes.has(digest)) return
    this.#nodes.set(digest, node)
    this.#keptBytes += node.bytes.length
    for (const [oldest, { bytes }] of this.#nodes) {
      if (this.#keptBytes <= KEPT_BYTES) return
      this.#nodes.delete(oldest)
      this.#keptBytes -= bytes.length
    }
  }

  /** Fails with `digest-mismatch` for other bytes, and with `generation-retired` when it is gone with its generation. */
  async #object(digest: Digest, most: number, signal?: AbortSignal): Promise<Buffer> {
    const { caller, witness } = this.#options
    const read = async (answer: Answer): Promise<Buffer> => await answer.bytes(most)
    try {
      const bytes = await caller.read({ path: blobPath(digest) }, read, signal)
      const found = digestOf(bytes)
      if (found !== digest) throw failure('digest-mismatch', { expected: digest, found })
      return bytes
    } catch (error) {
      if (isFailure(error, 'not-found')) await caller.done({ path: witness }, signal)
      throw error
    }
  }
}
