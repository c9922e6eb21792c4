/**
 * The rows of a stage, channel by channel, read in pages: a stage may hold millions.
 */
import type { ChangeRow, Changes, StageId } from '../../ledger/ledger.ts'
import type { Key } from '../../metaset/key.ts'
import { LIMITS } from '../../model/limits.ts'
import {
  CHANNEL_KEY,
  type ChannelChange,
  decodeChannelChange,
  decodeReleaseChange,
  type ReleaseChange,
} from '../stage/change.ts'

/** Rows read at once: few at first, for a stage may have few in each of many channels. */
const FIRST_PAGE = 4
const LAST_PAGE = 512
const GROWTH = 4

/** Greater than every key: no byte of UTF-8 is 0xff. */
const AFTER_ALL = '\u00ff'

/** The channels that a stage touches, in order; one more than a depot may have, where there are too many. */
export function channelsOf(changes: Pick<Changes, 'list'>, stage: StageId): readonly string[] {
  const channels: string[] = []
  while (channels.length <= LIMITS.channels) {
    const last = channels.at(-1)
    const after = last === undefined ? undefined : { channel: last, key: AFTER_ALL }
    const [row] = changes.list(stage, after, 1)
    if (row === undefined) return channels
    channels.push(row.channel)
  }
  return channels
}

/** What the stage does to the channel itself. */
export function channelChangeOf(
  changes: Pick<Changes, 'get'>,
  stage: StageId,
  channel: string,
): ChannelChange | undefined {
  const value = changes.get(stage, channel, CHANNEL_KEY)
  return value === undefined ? undefined : decodeChannelChange(value)
}

/** What the stage does to the releases of a channel, in the order of keys. */
export function* releaseChangesOf(
  changes: Pick<Changes, 'list'>,
  stage: StageId,
  channel: string,
): Generator<{ readonly key: Key; readonly change: ReleaseChange }> {
  let after: Pick<ChangeRow, 'channel' | 'key'> = { channel, key: CHANNEL_KEY }
  for (let size = FIRST_PAGE; ; size = Math.min(size * GROWTH, LAST_PAGE)) {
    const page = changes.list(stage, after, size)
    for (const row of page) {
      if (row.channel !== channel) return
      after = row
      if (row.value !== undefined) yield { key: row.key as Key, change: decodeReleaseChange(row.value) }
    }
    if (page.length < size) return
  }
}
