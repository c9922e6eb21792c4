/**
 * Where the origin is, as an upstream says that may be another replica (PROTOCOL §6).
 */
import { describe, expect, it } from 'vitest'
import { failure } from '../../src/model/errors.ts'
import { askForOrigin, OriginAddress } from '../../src/replica/origin-address.ts'
import type { Call } from '../../src/wire/caller.ts'
import type { OriginBody } from '../../src/wire/replication.ts'

const UPSTREAM = 'http://r1:1'
const ORIGIN = 'http://origin:1'
const NEVER = new AbortController().signal

class Place {
  said: OriginBody | Error = { isOrigin: false, url: ORIGIN }
  asked = 0
  /** Addresses that were called. */
  readonly called: string[] = []
  isAway = false
  readonly origin: OriginAddress = new OriginAddress({
    upstream: UPSTREAM,
    ask: async () => {
      this.asked += 1
      await Promise.resolve()
      if (this.said instanceof Error) throw this.said
      return this.said
    },
    callerOf: (url) => ({
      done: async () => await Promise.reject(new Error('not called here')),
      call: async () => {
        this.called.push(url)
        await Promise.resolve()
        throw failure('origin-unreachable', { reason: 'in a test' })
      },
    }),
  })

  /** The code of the failure; undefined when the origin has answered. */
  async reach(): Promise<string | undefined> {
    return await this.origin
      .reach(async (caller) => {
        if (this.isAway) await caller.call({ path: '/' })
        else await caller.call({ path: '/' }).catch(() => undefined)
      }, NEVER)
      .then(
        () => undefined,
        (error: { code: string }) => error.code,
      )
  }
}

const away = failure('origin-unreachable', { reason: 'the upstream is away' })

describe('the address of the origin', () => {
  it('is that of the upstream, where that is the origin, whatever it is called', async () => {
    const place = new Place()
    place.said = { isOrigin: true, url: 'https://depot.example' }
    expect([place.origin.now(), place.origin.isUpstream()]).toEqual([undefined, true])
    expect(await place.reach()).toBeUndefined()
    expect([place.origin.now(), place.called]).toEqual([UPSTREAM, [UPSTREAM]])
    // Others are told how it calls itself: they may not reach it where this node does.
    expect(place.origin.told()).toEqual({ isOrigin: false, url: 'https://depot.example' })
  })

  it('is told on as this node reaches it, where it has no other name', async () => {
    const place = new Place()
    place.said = { isOrigin: true, url: null }
    await place.reach()
    expect(place.origin.told()).toEqual({ isOrigin: false, url: UPSTREAM })
  })

  it('is what a replica says, which is asked once', async () => {
    const place = new Place()
    for (let time = 0; time < 3; time += 1) await place.reach()
    expect([place.asked, place.called]).toEqual([1, [ORIGIN, ORIGIN, ORIGIN]])
    expect([place.origin.isUpstream(), place.origin.told()]).toEqual([
      false,
      { isOrigin: false, url: ORIGIN },
    ])
  })

  it('is asked for again when it is not reached there, and stays what it was while nobody says another', async () => {
    const place = new Place()
    place.isAway = true
    expect(await place.reach()).toBe('origin-unreachable')
    place.said = away
    expect(await place.reach()).toBe('origin-unreachable')
    place.said = { isOrigin: false, url: null }
    expect(await place.reach()).toBe('origin-unreachable')
    expect([place.origin.now(), place.asked]).toEqual([ORIGIN, 3])
    place.said = { isOrigin: false, url: 'http://moved:1' }
    place.isAway = false
    expect(await place.reach()).toBeUndefined()
    expect(place.called.at(-1)).toBe('http://moved:1')
    await place.reach()
    expect(place.asked).toBe(4)
  })

  it('is nowhere until somebody has said it', async () => {
    const place = new Place()
    place.said = away
    expect(await place.reach()).toBe('origin-unreachable')
    // Two that follow each other never find it, and ask nobody in circles.
    place.said = { isOrigin: false, url: null }
    expect(await place.reach()).toBe('origin-unreachable')
    expect([place.called, place.origin.now(), place.origin.told().url]).toEqual([[], undefined, null])
  })
})

describe('a node that is asked where the origin is', () => {
  it('and does not know the question is an origin of an earlier version', async () => {
    const paths: string[] = []
    const caller = (error: Error) => ({
      call: async ({ path }: Call): Promise<never> => {
        paths.push(path)
        return await Promise.reject(error)
      },
    })
    const unknown = caller(failure('not-found', { what: 'GET /v1/replication/origin in this API' }))
    expect(await askForOrigin(unknown, NEVER)).toEqual({ isOrigin: true, url: null })
    expect(paths).toEqual(['/v1/replication/origin'])
    const silent = caller(failure('depot-unreachable', { url: UPSTREAM, reason: 'no answer' }))
    await expect(askForOrigin(silent, NEVER)).rejects.toMatchObject({ code: 'origin-unreachable' })
  })
})
