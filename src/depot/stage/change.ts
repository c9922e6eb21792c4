/**
 * What a stage does, row by row, as the ledger keeps it.
 *
 * A release is given by the whole line that the catalog will show: what a stage means is decided when it is staged,
 * and a commit only asks whether it still holds.
 */
import type { Release } from '../../metaset/release.ts'

export type ReleaseChange = { readonly kind: 'line'; readonly release: Release } | { readonly kind: 'remove' }

export type ChannelChange =
  | { readonly kind: 'settings'; readonly format: string; readonly frozen: boolean }
  | { readonly kind: 'drop' }

/** The key of a channel's own row; no release has it. */
export const CHANNEL_KEY = ''

export function encodeChange(change: ReleaseChange | ChannelChange): string {
  return JSON.stringify(change)
}

export function decodeReleaseChange(value: string): ReleaseChange {
  return JSON.parse(value) as ReleaseChange
}

export function decodeChannelChange(value: string): ChannelChange {
  return JSON.parse(value) as ChannelChange
}
