/**
 * What following comes to, told to those who look after a node: in its log and in its counts.
 */
import type { Log } from '../model/world.ts'
import type { FollowerEvents } from '../replica/follow.ts'
import type { AccessEvents } from '../replica/follow-access.ts'
import type { KeyEvents } from '../replica/keys/follow-keys.ts'
import type { FollowCounts } from './node-gauges.ts'

/** What following comes to is logged, and whoever waits for it is woken. */
export function eventsTo(log: Log, counts: FollowCounts, wake: () => void): FollowerEvents {
  return {
    heard: (gid) => {
      log.info({ gid }, 'the upstream has a new head')
      wake()
    },
    shown: ({ gid }, copied) => {
      counts.shown += 1
      log.info({ gid, copied }, 'copied, and the head of this node')
      wake()
    },
    filled: ({ gid }) => {
      log.info({ gid }, 'a generation that was passed over is here')
    },
    left: ({ gid }, err) => {
      log.warn({ err, gid }, 'a generation that was passed over cannot be copied')
    },
    failed: (error, attempt) => {
      counts.failed += 1
      log.warn({ err: error, ...attempt }, 'following failed and will be tried again')
      wake()
    },
  }
}

export function keyEventsTo(log: Log, counts: FollowCounts, wake: () => void): KeyEvents {
  return {
    adopted: (current) => {
      log.info({ key: current }, 'the keys of the upstream are known')
      wake()
    },
    signed: (generations) => {
      log.info({ generations }, 'generations that were here have got their signatures')
    },
    failed: (error, retryMs) => {
      counts.failed += 1
      log.warn({ err: error, retryMs }, 'following the keys failed and will be tried again')
      wake()
    },
  }
}

export function accessEventsTo(log: Log, counts: FollowCounts): AccessEvents {
  return {
    adopted: (edition, tokens) => {
      log.info({ edition, tokens }, 'tokens of the origin have changed')
    },
    failed: (error, retryMs) => {
      counts.failed += 1
      log.warn({ err: error, retryMs }, 'following the tokens failed and will be tried again')
    },
  }
}
