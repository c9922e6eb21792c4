/**
 * What an importer hands over: releases of another packaging system, one after the other, and what it passed over.
 *
 * The sources are those of exactly the files that the manifest names. An importer keeps few bytes in memory, and reads
 * nothing outside of the folder it was given.
 */
import type { Digest } from '../model/digest.ts'
import type { Manifest } from '../model/manifest.ts'

/** The bytes of one file, which can be read again from any offset. */
export interface FileSource {
  readonly digest: Digest
  readonly size: number
  open(start: number): AsyncIterable<Uint8Array>
}

export interface ImportedRelease {
  readonly manifest: Manifest
  readonly sources: readonly FileSource[]
}

/**
 * Why something is no release: it has no name or version; it has, but a depot cannot hold it; it is a symbolic link
 * that leads out of the folder; the same release was there before.
 */
export type Skipped = 'unnamed' | 'refused' | 'link' | 'repeated'

export type Imported =
  /** Comes first: how many folders will be looked at. */
  | { readonly kind: 'found'; readonly folders: number }
  | ({ readonly kind: 'release'; readonly path: string; readonly linksLeftOut: number } & ImportedRelease)
  | { readonly kind: 'skipped'; readonly path: string; readonly why: Skipped; readonly detail: string }
