/**
 * Where a session reads: below a pinned generation, where nothing ever changes, or in the preview of a stage.
 */
import type { Digest } from '../../model/digest.ts'
import type { Generation } from '../../model/generation.ts'
import type { Answer } from '../../wire/caller-answer.ts'
import { ANY_GENERATION } from '../../wire/headers.ts'
import { blobPath, filePath, PATHS, pinned, previewPath } from '../../wire/paths.ts'
import { Trees, type TreesOptions } from './tree.ts'

export interface Release {
  readonly channel: string
  readonly name: string
  readonly version: string
}

export interface Place {
  readonly generation: Generation
  /** What it holds, verified; undefined where two answers may tell of two states. */
  readonly trees: Trees | undefined
  pathOf(path: string): string
  pathOfFile(release: Release, path: string, digest: Digest): string
  /** Fails with `answer-invalid` when an answer is from somewhere else. */
  check(answer: Answer): void
}

export function pinnedPlace(caller: TreesOptions['caller'], generation: Generation): Place {
  const { gid, record } = generation
  return {
    generation,
    trees: new Trees({ caller, metaset: record.metaset, witness: pinned(gid, PATHS.head) }),
    pathOf: (path) => pinned(gid, path),
    // By digest, and so the same for all generations: what a cache has of one serves the next.
    pathOfFile: (_release, _path, digest) => blobPath(digest),
    check(answer) {
      if (answer.generation !== gid && answer.generation !== ANY_GENERATION)
        throw answer.invalid(`with generation ${answer.generation ?? '(none named)'} where ${gid} is pinned`)
    },
  }
}

/** Blobs that only a stage has are not to be had by digest alone. */
export function previewPlace(stage: string, base: Generation): Place {
  return {
    generation: base,
    trees: undefined,
    pathOf: (path) => previewPath(stage, path),
    pathOfFile: ({ channel, name, version }, path) =>
      previewPath(stage, filePath(channel, name, version, path)),
    check: () => undefined,
  }
}
