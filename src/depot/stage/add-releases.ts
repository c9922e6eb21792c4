/**
 * Staging releases: a manifest put, many of them, a release removed or marked, a channel set up.
 *
 * What can be refused is refused here and now, when the publisher can still do something about it: a version that is
 * bound to other bytes, a frozen channel, a release that is not there. The commit looks again, for others may have
 * been quicker.
 */
import type { ChangeRow, Ledger, Stage } from '../../ledger/ledger.ts'
import { keyOf } from '../../metaset/key.ts'
import type { NodeReader } from '../../metaset/node.ts'
import { lookup } from '../../metaset/read.ts'
import { decodeBound, decodeRelease, type Release } from '../../metaset/release.ts'
import { EMPTY_TREE } from '../../metaset/tree.ts'
import { failure } from '../../model/errors.ts'
import { demandText, parseChannelName } from '../../model/name.ts'
import { slices } from '../../model/slice.ts'
import { Turns } from '../../pool/disk/turns.ts'
import type { Access } from '../access.ts'
import { type Actor, demand } from '../actor.ts'
import type { Examine, ExaminedManifest } from '../read/examine.ts'
import type { View, Wish } from '../read/view.ts'
import { CHANNEL_KEY, decodeChannelChange, decodeReleaseChange, encodeChange } from './change.ts'
import { type KeepParts, keepManifests, type StagedManifest } from './keep-manifests.ts'

export interface ReleaseParts extends KeepParts {
  readonly ledger: Pick<Ledger, 'changes' | 'blobs'>
  readonly nodes: NodeReader
  readonly examine: Examine
  readonly access: Pick<Access, 'charge'>
  /** The view of the head at this moment. */
  readonly head: () => Promise<View>
}

/** Rows that go at once when a channel is taken away. */
const PAGE = 1_000

export class StageReleases {
  readonly #parts: ReleaseParts
  readonly #turns = new Turns()

  constructor(parts: ReleaseParts) {
    this.#parts = parts
  }

  /**
   * Stages the manifest for the release that the URL names. Fails as `parseManifest` does, and with `manifest-invalid`
   * when URL and body disagree, `name-conflict`, `channel-frozen` or `forbidden`.
   */
  async put(actor: Actor, stage: Stage, wish: Wish, text: Uint8Array): Promise<StagedManifest> {
    const examined = await this.#parts.examine(text)
    if (examined.name !== wish.name || examined.version !== wish.version)
      throw failure('manifest-invalid', {
        reason: `the URL names ${wish.name} ${wish.version}, the manifest is of ${examined.name} ${examined.version}`,
      })
    const [staged] = await this.#stage(actor, stage, wish.channel, [examined])
    if (staged === undefined) throw failure('manifest-invalid', { reason: 'there was no manifest' })
    return staged
  }

  /** Many manifests; all of them or none. */
  async putAll(
    actor: Actor,
    stage: Stage,
    channel: string,
    texts: readonly Uint8Array[],
  ): Promise<readonly StagedManifest[]> {
    const examined: ExaminedManifest[] = []
    const pace = slices(this.#parts.clock)
    for (const text of texts) {
      examined.push(await this.#parts.examine(text))
      await pace.breathe()
    }
    return await this.#stage(actor, stage, channel, examined)
  }

  /** Takes a release out of the channel. Fails with `not-found` when neither head nor stage has it. */
  async remove(actor: Actor, stage: Stage, wish: Wish): Promise<void> {
    const key = keyOf(wish.name, wish.version)
    await this.#inTurn(stage, [{ channel: wish.channel, key }], async () => {
      await this.#existing(actor, stage, wish)
      await this.#write(stage, wish.channel, key, encodeChange({ kind: 'remove' }))
    })
  }

  /** Marks a release as yanked or deprecated, or takes the mark away. Fails with `not-found`. */
  async mark(
    actor: Actor,
    stage: Stage,
    wish: Wish,
    mark: { readonly status: 'yanked' | 'deprecated' | null; readonly reason?: string },
  ): Promise<void> {
    if (mark.reason !== undefined) demandText(mark.reason, 'the reason')
    const key = keyOf(wish.name, wish.version)
    await this.#inTurn(stage, [{ channel: wish.channel, key }], async () => {
      const { status: _, reason: __, ...plain } = await this.#existing(actor, stage, wish)
      const release: Release = mark.status === null ? plain : marked(plain, mark.status, mark.reason)
      await this.#write(stage, wish.channel, key, encodeChange({ kind: 'line', release }))
    })
  }

  /** Makes a channel, freezes or unfreezes it. Needs `admin`. */
  async setChannel(actor: Actor, stage: Stage, channel: string, frozen: boolean): Promise<void> {
    demand(actor, 'admin')
    const name = parseChannelName(channel)
    await this.#write(stage, name, CHANNEL_KEY, encodeChange({ kind: 'settings', format: 'semver', frozen }))
  }

  /** Takes a whole channel away, and what the stage did to its releases. Needs `admin`. Fails with `not-found`. */
  async removeChannel(actor: Actor, stage: Stage, channel: string): Promise<void> {
    demand(actor, 'admin')
    const view = await this.#parts.head()
    view.channel(channel)
    const { changes } = this.#parts.ledger
    const page = (): readonly ChangeRow[] =>
      changes.list(stage.id, { channel, key: CHANNEL_KEY }, PAGE).filter((row) => row.channel === channel)
    for (let rows = page(); rows.length > 0; rows = page())
      await changes.write(
        stage.id,
        rows.map(({ key }) => ({ channel, key, value: undefined })),
      )
    await this.#write(stage, channel, CHANNEL_KEY, encodeChange({ kind: 'drop' }))
  }

  async #stage(
    actor: Actor,
    stage: Stage,
    channel: string,
    examined: readonly ExaminedManifest[],
  ): Promise<readonly StagedManifest[]> {
    const view = await this.#writable(actor, stage, channel)
    const rows = new Map<string, ChangeRow>()
    const pace = slices(this.#parts.clock)
    for (const manifest of examined) {
      const row = await this.#rowOf(view, channel, manifest)
      if ((rows.get(row.key)?.value ?? row.value) !== row.value)
        throw failure('manifest-invalid', {
          reason: `${manifest.name} ${manifest.version} stands twice in the batch, with different manifests`,
        })
      rows.set(row.key, row)
      const turn = pace.breathe()
      if (turn !== undefined) await turn
    }
    const { access, ledger } = this.#parts
    const sum = examined.reduce((before, { bytes }) => before + bytes.length, 0)
    return await access.charge(actor.id, sum, async () => {
      const staged = await keepManifests(this.#parts, stage.id, examined)
      const all = [...rows.values()]
      await this.#inTurn(stage, all, async () => await ledger.changes.write(stage.id, all))
      return staged
    })
  }

  /**
   * The row that stages a manifest. Where the head offers just this, it says so with the head's own line, marks and
   * all: that changes nothing, unless somebody takes the release away meanwhile. Fails with `name-conflict`.
   */
  async #rowOf(view: View, channel: string, manifest: ExaminedManifest): Promise<ChangeRow> {
    const { name, version, digest } = manifest
    const key = keyOf(name, version)
    const { bound: names, releases } = view.known(channel) ?? { bound: EMPTY_TREE, releases: EMPTY_TREE }
    const line = await lookup(this.#parts.nodes, names, key)
    const bound = line && decodeBound(line).manifest
    if (bound !== undefined && bound !== digest)
      throw failure('name-conflict', { channel, name, version, bound, offered: digest })
    const offered = bound === undefined ? undefined : await lookup(this.#parts.nodes, releases, key)
    const release = offered === undefined ? releaseOf(manifest) : decodeRelease(offered)
    return { channel, key, value: encodeChange({ kind: 'line', release }) }
  }

  /** The release as stage and head have it now. */
  async #existing(actor: Actor, stage: Stage, wish: Wish): Promise<Release> {
    const view = await this.#writable(actor, stage, wish.channel)
    const staged = this.#parts.ledger.changes.get(stage.id, wish.channel, keyOf(wish.name, wish.version))
    const change = staged === undefined ? undefined : decodeReleaseChange(staged)
    if (change === undefined) return await view.release(wish)
    if (change.kind === 'line') return change.release
    throw failure('not-found', { what: `release ${wish.name} ${wish.version} in channel ${wish.channel}` })
  }

  /** The head's view, when the actor may change the channel and it takes changes. */
  async #writable(actor: Actor, stage: Stage, channel: string): Promise<View> {
    const name = parseChannelName(channel)
    demand(actor, `publish:${name}`)
    const view = await this.#parts.head()
    const staged = this.#parts.ledger.changes.get(stage.id, name, CHANNEL_KEY)
    const change = staged === undefined ? undefined : decodeChannelChange(staged)
    if (change?.kind === 'drop')
      throw failure('bad-request', {
        reason: `this stage takes channel ${name} away; add to it in another stage`,
      })
    const frozen = change?.kind === 'settings' ? change.frozen : view.known(name)?.settings.frozen === true
    if (frozen) throw failure('channel-frozen', { channel: name })
    return view
  }

  /** After everybody who came before for one of these rows: what was read of a row is still true when it is written. */
  async #inTurn<Result>(
    { id }: Stage,
    rows: readonly Pick<ChangeRow, 'channel' | 'key'>[],
    work: () => Promise<Result>,
  ): Promise<Result> {
    return await this.#turns.take(
      rows.map(({ channel, key }) => `${id} ${channel} ${key}`),
      work,
    )
  }

  async #write(stage: Stage, channel: string, key: string, value: string): Promise<void> {
    await this.#parts.ledger.changes.write(stage.id, [{ channel, key, value }])
  }
}

function marked(plain: Release, status: 'yanked' | 'deprecated', reason: string | undefined): Release {
  return { ...plain, status, ...(reason === undefined ? {} : { reason }) }
}

/** The line that the catalog will show of it. */
function releaseOf({ name, version, digest, size, summary, published }: ExaminedManifest): Release {
  return {
    name,
    version,
    manifest: digest,
    size,
    ...(summary === undefined ? {} : { summary }),
    ...(published === undefined ? {} : { published }),
  }
}
