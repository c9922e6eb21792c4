/**
 * Adding to a stage: everything here is private until the commit, and may be sent twice without harm.
 */
import type { Digest } from '../../model/digest.ts'
import { isFailure } from '../../model/errors.ts'
import { LIMITS } from '../../model/limits.ts'
import type { Manifest } from '../../model/manifest.ts'
import type { Random } from '../../model/world.ts'
import type {
  ChannelRequest,
  DeclaredBlob,
  ManifestPutBody,
  StageBody,
  StatusRequest,
} from '../../wire/bodies.ts'
import { bytesBody, type Call, type Caller, jsonBody } from '../../wire/caller.ts'
import type { Answer } from '../../wire/caller-answer.ts'
import { encodeDeclared } from '../../wire/declared.ts'
import { HEADERS, MEDIA } from '../../wire/headers.ts'
import { channelPath, generationPath, manifestPath, stagedPath, stagePath } from '../../wire/paths.ts'
import {
  ManifestPutBody as ManifestPutSchema,
  ManifestsPutBody,
  MissingBody,
  StageBody as StageSchema,
} from '../../wire/schemas.ts'
import type { CommitOptions, Progress, Session, Source, Staging } from '../client.ts'
import { readGeneration } from '../generation.ts'
import type { Heads } from '../heads.ts'
import { previewPlace } from '../read/place.ts'
import { PinnedSession } from '../read/session.ts'
import { newKey } from '../request-key.ts'
import { manifestBatches } from './manifest-batches.ts'
import { uploadAll } from './uploads.ts'

type Committed = Awaited<ReturnType<Staging['commit']>>

export interface StagingOptions {
  readonly caller: Caller
  readonly heads: Pick<Heads, 'accept'>
  readonly random: Random
  readonly id: string
}

const COMMIT_WAIT_SECONDS = LIMITS.waitMs / 1000
/** Active, or sealed and to become active. */
const CHANGED = new Set([201, 202])

export class DepotStaging implements Staging {
  readonly id: string
  readonly #caller: Caller
  readonly #heads: Pick<Heads, 'accept'>
  readonly #random: Random

  constructor({ caller, heads, random, id }: StagingOptions) {
    this.id = id
    this.#caller = caller
    this.#heads = heads
    this.#random = random
  }

  async show(signal?: AbortSignal): Promise<StageBody> {
    return await this.#caller.json(StageSchema, { path: stagePath(this.id) }, signal)
  }

  async abort(signal?: AbortSignal): Promise<void> {
    try {
      await this.#caller.done({ method: 'DELETE', path: stagePath(this.id) }, signal)
    } catch (error) {
      // The answer to an earlier attempt may have been lost.
      if (!isFailure(error, 'stage-expired') || error.details['state'] !== 'aborted') throw error
    }
  }

  async missing(blobs: readonly DeclaredBlob[], signal?: AbortSignal): Promise<readonly Digest[]> {
    const missing: Digest[] = []
    for (let at = 0; at < blobs.length; at += LIMITS.missingDigests) {
      const { type, bytes } = encodeDeclared(blobs.slice(at, at + LIMITS.missingDigests))
      const call = this.#post(`${stagePath(this.id)}/missing`, bytesBody(type, bytes))
      missing.push(...(await this.#caller.json(MissingBody, call, signal)).missing)
    }
    return missing
  }

  async upload(
    sources: readonly Source[],
    onProgress?: (bytes: Progress) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    const different = [...new Map(sources.map((source) => [source.digest, source])).values()]
    const missing = new Set(await this.missing(different, signal))
    await uploadAll({ caller: this.#caller, stage: this.id, onProgress }, different, missing, signal)
  }

  async put(channel: string, manifest: Manifest, signal?: AbortSignal): Promise<ManifestPutBody> {
    const path = stagedPath(this.id, manifestPath(channel, manifest.name, manifest.version))
    return await this.#caller.json(
      ManifestPutSchema,
      { method: 'PUT', path, body: jsonBody(manifest) },
      signal,
    )
  }

  async putAll(
    channel: string,
    manifests: Iterable<Manifest> | AsyncIterable<Manifest>,
    signal?: AbortSignal,
  ): Promise<number> {
    const path = `${stagedPath(this.id, channelPath(channel))}/manifests`
    let count = 0
    for await (const batch of manifestBatches(manifests)) {
      count += batch.count
      if (batch.kind === 'single') {
        await this.put(channel, batch.manifest, signal)
        continue
      }
      const call = this.#post(path, bytesBody(MEDIA.ndjson, batch.bytes))
      await this.#caller.read(call, async (answer) => await demandStored(answer, batch.count), signal)
    }
    return count
  }

  async remove(channel: string, name: string, version: string, signal?: AbortSignal): Promise<void> {
    const path = stagedPath(this.id, manifestPath(channel, name, version))
    await this.#caller.done({ method: 'DELETE', path }, signal)
  }

  // oxlint-disable-next-line max-params -- a release has three names
  async mark(
    channel: string,
    name: string,
    version: string,
    status: StatusRequest,
    signal?: AbortSignal,
  ): Promise<void> {
    const path = stagedPath(this.id, manifestPath(channel, name, version))
    const call: Call = { method: 'PATCH', path, body: jsonBody(status), repeat: 'always' }
    await this.#caller.done(call, signal)
  }

  async setChannel(channel: string, settings: ChannelRequest, signal?: AbortSignal): Promise<void> {
    const path = stagedPath(this.id, channelPath(channel))
    await this.#caller.done({ method: 'PUT', path, body: jsonBody(settings) }, signal)
  }

  async removeChannel(channel: string, signal?: AbortSignal): Promise<void> {
    await this.#caller.done({ method: 'DELETE', path: stagedPath(this.id, channelPath(channel)) }, signal)
  }

  async preview(signal?: AbortSignal): Promise<Session> {
    const { base } = await this.show(signal)
    const generation = await this.#caller.read(
      { path: generationPath(base) },
      async (answer) => await readGeneration(answer, base),
      signal,
    )
    const place = previewPlace(this.id, generation)
    return new PinnedSession({ caller: this.#caller, random: this.#random, place })
  }

  async commit(request: CommitOptions = {}, signal?: AbortSignal): Promise<Committed> {
    const { message, onlyOn, idempotencyKey = newKey(this.#random) } = request
    const call: Call = {
      ...this.#post(`${stagePath(this.id)}/commit`, jsonBody(message === undefined ? {} : { message })),
      headers: {
        [HEADERS.idempotencyKey]: idempotencyKey,
        prefer: `wait=${COMMIT_WAIT_SECONDS}`,
        ...(onlyOn === undefined ? {} : { 'if-match': `"${onlyOn}"` }),
      },
    }
    const read = async (answer: Answer): Promise<Committed> => ({
      generation: await readGeneration(answer),
      changed: CHANGED.has(answer.status),
    })
    const committed = await this.#caller.read(call, read, signal)
    const { generation } = committed
    if (generation.state === 'active') await this.#heads.accept(generation, [], signal)
    return committed
  }

  /** What is posted to a stage is the same when posted twice; a commit is so by its key. */
  #post(path: string, body: NonNullable<Call['body']>): Call {
    return { method: 'POST', path, body, repeat: 'always' }
  }
}

async function demandStored(answer: Answer, count: number): Promise<void> {
  const { manifests: stored } = await answer.json(ManifestsPutBody)
  if (stored.length !== count) throw answer.invalid(`${stored.length} manifests of ${count}`)
}
