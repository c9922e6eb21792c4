/**
 * The metaset of a rollback: the channels of an old generation, with the bound names of today (DESIGN §3).
 *
 * A name that was bound since stays bound: rolling back never makes room for other bytes under a published version.
 */
import { type Channel, channelIn, emptyChannel, type Metaset } from '../../metaset/metaset.ts'

export function rollbackMetaset(head: Metaset, target: Metaset): Metaset {
  const channels = new Map<string, Channel>()
  for (const [name, channel] of Object.entries(head.channels))
    channels.set(name, { ...emptyChannel(channel.format), settings: { dropped: true }, bound: channel.bound })
  for (const [name, channel] of Object.entries(target.channels))
    channels.set(name, { ...channel, bound: channelIn(head, name)?.bound ?? channel.bound })
  return { ...head, channels: Object.fromEntries(channels) }
}
