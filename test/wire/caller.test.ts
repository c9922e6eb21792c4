import { pipeline } from 'node:stream/promises'
import { inspect } from 'node:util'
import Type from 'typebox'
import { describe, expect, it } from 'vitest'
import { DepotError, failure } from '../../src/model/errors.ts'
import { bytesBody, Caller, type CallerOptions, jsonBody } from '../../src/wire/caller.ts'
import { json, type Playing, playing, problem } from './playing-server.ts'
import { noChance, type StillClock, stillClock } from './still-world.ts'

const GID = 'g42.k3x7m2q5wz4a.9f3ab2c41d07e655'
const TOKEN = 'dpt_0123456789abcdef'
const Any = Type.Unsafe<{ answer: number }>(Type.Object({ answer: Type.Number() }))

function callerOf(
  { url }: Pick<Playing, 'url'>,
  more: Partial<CallerOptions> = {},
): { caller: Caller; clock: StillClock } {
  const clock = stillClock()
  return { clock, caller: new Caller({ url, token: TOKEN, clock, random: noChance, ...more }) }
}

async function failureOf(work: Promise<unknown>): Promise<DepotError> {
  const error: unknown = await work.then(
    () => undefined,
    (e: unknown) => e,
  )
  expect(error).toBeInstanceOf(DepotError)
  return error as DepotError
}

describe('a call', () => {
  it('hands on status, generation and body', async () => {
    await using depot = await playing((_, response) =>
      json(response, { answer: 42 }, { 'depot-generation': `${GID};st=sealed` }),
    )
    const { caller } = callerOf(depot)
    const answer = await caller.call({ path: '/v1/head?x=1' })
    expect(answer.status).toBe(200)
    expect(answer.generation).toBe(GID)
    expect(await answer.json(Any)).toEqual({ answer: 42 })
    expect(depot.asked[0]).toMatchObject({ method: 'GET', url: '/v1/head?x=1' })
    expect(depot.asked[0]?.headers.authorization).toBe(`Bearer ${TOKEN}`)
  })

  it.each(['', 'g42', `${GID}, ${GID}`])('from something that says generation %j has none', async (text) => {
    await using depot = await playing((_, response) => json(response, {}, { 'depot-generation': text }))
    const answer = await callerOf(depot).caller.done({ path: '/' })
    expect(answer.generation).toBeUndefined()
  })

  it('keeps the path before /v1 of an address, and its connections', async () => {
    await using depot = await playing((_, response) => json(response, { answer: 1 }))
    const { caller } = callerOf({ url: `${depot.url}/depot/` })
    for (let count = 0; count < 10; count += 1) await caller.json(Any, { path: '/v1/head' })
    expect(new Set(depot.asked.map(({ url }) => url))).toEqual(new Set(['/depot/v1/head']))
    expect(Math.max(...depot.asked.map(({ connection }) => connection))).toBeLessThanOrEqual(2)
  })

  it('sends a body with its type and length, as bytes or as a stream', async () => {
    await using depot = await playing((_, response) => json(response, {}))
    const { caller } = callerOf(depot)
    await caller.done({ method: 'POST', path: '/', body: jsonBody({ a: 1 }) })
    async function* open(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('ab')
      yield await Promise.resolve(Buffer.from('c'))
    }
    await caller.done({ method: 'PUT', path: '/', body: { type: 'x/y', size: 3, open } })
    expect(
      depot.asked.map(({ headers, body }) => [
        headers['content-type'],
        headers['content-length'],
        body.toString(),
      ]),
    ).toEqual([
      ['application/json', '7', '{"a":1}'],
      ['x/y', '3', 'abc'],
    ])
  })

  it('expects other statuses than 2xx only when told', async () => {
    await using depot = await playing((_, response) => response.writeHead(304).end())
    const { caller } = callerOf(depot)
    expect((await caller.done({ path: '/', expect: [304] })).status).toBe(304)
    expect((await failureOf(caller.done({ path: '/' }))).code).toBe('answer-invalid')
  })
})

describe('an answer that makes no sense', () => {
  it.each([
    ['HTML', 200, 'text/html', '<html>'],
    ['cut JSON', 200, 'application/json', '{"answer":4'],
    ['JSON of another form', 200, 'application/json', '{"answer":"42"}'],
    ['an unknown problem', 409, 'application/problem+json', '{"type":"/problems/made-up","status":409}'],
    ['an error page', 404, 'text/html', '<html>'],
    ['a redirect without address', 302, 'text/plain', ''],
  ])('is refused: %s', async (_, status, type, text) => {
    await using depot = await playing((_asked, response) =>
      response.writeHead(status, { 'content-type': type }).end(text),
    )
    const { caller, clock } = callerOf(depot)
    const error = await failureOf(caller.json(Any, { path: '/v1/head' }))
    expect(error.code).toBe('answer-invalid')
    expect(error.details['url']).toBe(`${depot.url}/v1/head`)
    expect(clock.slept).toEqual([])
  })

  it('is not read beyond its bound', async () => {
    await using depot = await playing(async (_, response) => {
      function* endless(): Generator<Buffer> {
        for (;;) yield Buffer.alloc(65_536, ' ')
      }
      await pipeline(endless, response).catch(() => undefined)
    })
    const { caller } = callerOf(depot)
    const error = await failureOf(caller.json(Any, { path: '/' }))
    expect(error.message).toContain('more than 8388608 bytes')
    const status = 500
    await using failing = await playing((_, response) =>
      response.writeHead(status).end(Buffer.alloc(2_000_000)),
    )
    expect((await failureOf(callerOf(failing).caller.done({ path: '/' }))).message).toContain(
      'more than 1048576',
    )
  })
})

describe('a redirect', () => {
  it('within the origin is followed with token, method and body', async () => {
    await using depot = await playing(({ url }, response) =>
      url === '/a' ? response.writeHead(307, { location: '/b' }).end() : json(response, { answer: 1 }),
    )
    const { caller } = callerOf(depot)
    await caller.json(Any, { method: 'POST', path: '/a', body: bytesBody('x/y', Buffer.from('abc')) })
    expect(depot.asked[1]).toMatchObject({ method: 'POST', url: '/b', body: Buffer.from('abc') })
    expect(depot.asked[1]?.headers.authorization).toBe(`Bearer ${TOKEN}`)
  })

  it('to another origin goes without the secrets, and so does the way back', async () => {
    const homes: string[] = []
    await using other = await playing((_, response) =>
      response.writeHead(307, { location: `${homes[0]}/c` }).end(),
    )
    await using depot = await playing(({ url }, response) =>
      url === '/a'
        ? response.writeHead(307, { location: `${other.url}/b` }).end()
        : json(response, { answer: 1 }),
    )
    homes.push(depot.url)
    const headers = { 'depot-preview': 'secret', 'depot-min-generation': GID }
    await callerOf(depot).caller.json(Any, { path: '/a', headers })
    expect(depot.asked[0]?.headers).toMatchObject({
      authorization: `Bearer ${TOKEN}`,
      'depot-preview': 'secret',
    })
    for (const asked of [other.asked[0], depot.asked[1]]) {
      expect(asked?.headers['authorization']).toBeUndefined()
      expect(asked?.headers['depot-preview']).toBeUndefined()
      expect(asked?.headers['depot-min-generation']).toBe(GID)
    }
  })

  it.each(['/again', 'file:///etc/passwd'])('that leads nowhere (%s) is refused', async (location) => {
    await using depot = await playing((_, response) => response.writeHead(307, { location }).end())
    expect((await failureOf(callerOf(depot).caller.done({ path: '/' }))).code).toBe('answer-invalid')
    expect(depot.asked.length).toBeLessThanOrEqual(4)
  })
})

describe('a node that sends a client to another one', () => {
  it('is followed with pin and headers, and asked again itself when that one cannot answer either', async () => {
    await using other = await playing((_, response, before) =>
      before === 0 ? problem(response, 503, 'booting', { retryAfter: 1 }) : json(response, { answer: 1 }),
    )
    await using depot = await playing(({ url }, response) =>
      response.writeHead(307, { location: `${other.url}${url}?_h=1` }).end(),
    )
    const { caller } = callerOf(depot)
    const headers = { 'depot-min-generation': GID, range: 'bytes=5-' }
    expect(await caller.json(Any, { path: '/g/x/y', headers })).toEqual({ answer: 1 })
    expect(depot.asked.map(({ url }) => url)).toEqual(['/g/x/y', '/g/x/y'])
    for (const asked of other.asked) {
      expect(asked).toMatchObject({ url: '/g/x/y?_h=1', headers })
      expect(asked.headers.authorization).toBeUndefined()
    }
  })

  it('is not followed to a third one', async () => {
    await using other = await playing((_, response) =>
      response.writeHead(307, { location: '/elsewhere?_h=1' }).end(),
    )
    await using depot = await playing((_, response) =>
      response.writeHead(307, { location: `${other.url}/x?_h=1` }).end(),
    )
    const error = await failureOf(callerOf(depot).caller.done({ path: '/x' }))
    expect(error).toMatchObject({ code: 'answer-invalid' })
    expect(error.message).toContain('although another node had sent us there')
    expect(other.asked).toHaveLength(1)
  })

  it('is told to answer itself where the other one wants the token, which that one never gets', async () => {
    await using other = await playing((_, response) =>
      problem(response, 401, 'unauthorised', { reason: 'closed' }),
    )
    await using depot = await playing(({ url }, response) =>
      url.includes('_h=1')
        ? json(response, { answer: 1 })
        : response.writeHead(307, { location: `${other.url}${url}&_h=1` }).end(),
    )
    const { caller } = callerOf(depot)
    expect(await caller.json(Any, { path: '/x?a=b' })).toEqual({ answer: 1 })
    expect(depot.asked.map(({ url, headers }) => [url, headers.authorization])).toEqual([
      ['/x?a=b', `Bearer ${TOKEN}`],
      ['/x?a=b&_h=1', `Bearer ${TOKEN}`],
    ])
    expect(other.asked.map(({ headers }) => headers.authorization)).toEqual([undefined])
  })
})

describe('a node that puts a request off', () => {
  it('is asked again on a new connection after the time it named', async () => {
    await using depot = await playing((_, response, before) =>
      before < 2
        ? problem(response, 503, 'booting', { retryAfter: before + 2 })
        : json(response, { answer: 1 }),
    )
    const { caller, clock } = callerOf(depot)
    expect(await caller.json(Any, { path: '/' })).toEqual({ answer: 1 })
    expect(clock.slept).toEqual([2_000, 3_000])
    expect(depot.asked.map(({ connection }) => connection)).toEqual([1, 2, 3])
    expect(depot.asked.map(({ headers }) => headers.connection)).toEqual(['keep-alive', 'close', 'close'])
  })

  it('is given a minute, and then its own words are the failure', async () => {
    await using depot = await playing((_, response) =>
      problem(response, 503, 'generation-behind', { wanted: GID, generation: GID, retryAfter: 7 }),
    )
    const { caller, clock } = callerOf(depot)
    const error = await failureOf(caller.done({ path: '/' }))
    expect(error).toMatchObject({ code: 'generation-behind', details: { wanted: GID, generation: GID } })
    expect(clock.monotonic()).toBe(56_000)
  })

  it.each([503, 429])('is asked again with POST too (%i)', async (status) => {
    await using depot = await playing((_, response, before) =>
      before === 0
        ? problem(response, status, status === 503 ? 'draining' : 'rate-limited', {
            retryAfterMs: 1,
            retryAfter: 1,
          })
        : json(response, { answer: 1 }),
    )
    const { caller } = callerOf(depot)
    expect(await caller.json(Any, { method: 'POST', path: '/', body: jsonBody(1) })).toEqual({ answer: 1 })
  })

  it('by a proxy in front is asked again only when twice does no harm', async () => {
    await using depot = await playing((_, response) => response.writeHead(502).end('<html>'))
    const { caller } = callerOf(depot)
    const error = await failureOf(caller.done({ method: 'POST', path: '/' }))
    expect(error).toMatchObject({ code: 'depot-unreachable' })
    expect(depot.asked.length).toBe(1)
    await failureOf(caller.done({ method: 'POST', path: '/', repeat: 'always' }))
    expect(depot.asked.length).toBeGreaterThan(10)
  })
})

describe('a connection that fails', () => {
  it('is made again when twice does no harm', async () => {
    await using depot = await playing(({ method }, response, before) =>
      before % 2 === 0 ? response.destroy() : json(response, { answer: method.length }),
    )
    const { caller } = callerOf(depot)
    expect(await caller.json(Any, { path: '/' })).toEqual({ answer: 3 })
    expect(await caller.json(Any, { method: 'PUT', path: '/', body: jsonBody(1) })).toEqual({ answer: 3 })
    expect((await failureOf(caller.done({ method: 'POST', path: '/', body: jsonBody(1) }))).code).toBe(
      'depot-unreachable',
    )
    expect(depot.asked.length).toBe(5)
  })

  it('in the middle of a body is told, not taken for its end', async () => {
    await using depot = await playing((_, response) => {
      response.writeHead(200, { 'content-length': 100 }).write('{"answer":1}')
      setTimeout(() => response.destroy(), 5)
    })
    expect((await failureOf(callerOf(depot).caller.json(Any, { path: '/' }))).code).toBe('depot-unreachable')
  })

  it('in the middle of a problem is made again', async () => {
    await using depot = await playing((_, response, before) => {
      if (before > 0) return json(response, { answer: 1 })
      response.writeHead(404, { 'content-length': 100 }).write('{')
      return setTimeout(() => response.destroy(), 5)
    })
    expect(await callerOf(depot).caller.json(Any, { path: '/' })).toEqual({ answer: 1 })
  })

  it('before anything ever answered is told soon, later it is given its minute', async () => {
    const gone = await playing((_, response) => json(response, { answer: 1 }))
    const { caller, clock } = callerOf(gone)
    await caller.json(Any, { path: '/' })
    await gone[Symbol.asyncDispose]()
    const known = await failureOf(caller.done({ method: 'POST', path: '/' }))
    expect(known.message).toContain('ECONNREFUSED')
    expect(clock.monotonic()).toBeGreaterThan(50_000)
    const stranger = callerOf(gone)
    expect((await failureOf(stranger.caller.done({ path: '/' }))).code).toBe('depot-unreachable')
    expect(stranger.clock.monotonic()).toBeLessThanOrEqual(5_000)
  })

  it('because nobody answers ends by itself', async () => {
    await using depot = await playing(() => undefined)
    const { caller } = callerOf(depot, { bounds: { answerWithin: 30, firstPatience: 0 } })
    const error = await failureOf(caller.done({ path: '/' }))
    expect(error.message).toContain('no answer within')
  })
})

describe('what the caller itself does wrong', () => {
  it('is told when a source cannot be read, and not tried again', async () => {
    await using depot = await playing((_, response) => json(response, {}))
    const { caller, clock } = callerOf(depot)
    const gone = failure('bad-request', { reason: 'the file is gone' })
    let opened = 0
    async function* open(): AsyncGenerator<Uint8Array> {
      opened += 1
      yield await Promise.resolve(Buffer.alloc(10))
      throw gone
    }
    const call = caller.done({ method: 'PUT', path: '/', body: { type: 'x/y', size: 20, open } })
    expect(await failureOf(call)).toBe(gone)
    expect([opened, clock.slept]).toEqual([1, []])
  })

  it.each(['/v1/channels/../tokens', '/v1/channels/%2E%2e/x', '/.', 'v1'])(
    'is a path like %s',
    async (path) => {
      expect((await failureOf(callerOf({ url: 'http://127.0.0.1:9' }).caller.done({ path }))).code).toBe(
        'bad-request',
      )
    },
  )

  it.each([
    'depot.example',
    'ftp://depot.example',
    `http://me:${TOKEN}@depot.example`,
    `http://depot.example/?token=${TOKEN}`,
  ])('is an address like %s', (url) => {
    let error: unknown
    try {
      callerOf({ url })
    } catch (thrown) {
      error = thrown
    }
    expect(error).toMatchObject({ code: 'bad-request' })
    expect(inspect(error)).not.toContain(TOKEN)
  })
})

describe('the token', () => {
  it('never stands in a failure', async () => {
    await using echoing = await playing(({ headers, url }, response) => {
      if (url === '/problem')
        return problem(response, 400, 'bad-request', { reason: JSON.stringify(headers) })
      if (url === '/html') return response.writeHead(400).end(JSON.stringify(headers))
      return response.destroy()
    })
    const { caller } = callerOf(echoing)
    for (const path of ['/problem', '/html', '/broken']) {
      const error = await failureOf(caller.done({ method: 'POST', path }))
      expect(inspect(error, { depth: 20, showHidden: true })).not.toContain(TOKEN)
      expect(JSON.stringify(error.details)).not.toContain(TOKEN)
    }
  })

  it('with a character that no header may have is refused without being shown', () => {
    for (const token of [`${TOKEN}\n`, `${TOKEN} x`, ''])
      expect(() => callerOf({ url: 'http://127.0.0.1:9' }, { token })).toThrow(
        'the token has characters that no token has',
      )
  })
})

describe('an abort', () => {
  const reason = new Error('enough')
  it('ends a request, a body and a pause, with its own reason', async () => {
    await using depot = await playing(({ url }, response) => {
      if (url === '/body') return response.writeHead(200).write('x')
      return url === '/pause' ? problem(response, 503, 'booting', { retryAfter: 1 }) : undefined
    })
    const early = new AbortController()
    early.abort(reason)
    const { caller } = callerOf(depot)
    await expect(caller.done({ path: '/' }, early.signal)).rejects.toBe(reason)
    expect(depot.asked.length).toBe(0)

    const during = new AbortController()
    setTimeout(() => during.abort(reason), 20)
    await expect(caller.done({ path: '/silent' }, during.signal)).rejects.toBe(reason)

    const reading = new AbortController()
    const answer = await caller.call({ path: '/body' }, reading.signal)
    setTimeout(() => reading.abort(reason), 20)
    await expect(answer.bytes(100)).rejects.toBe(reason)

    const pausing = new AbortController()
    const clock = { ...stillClock(), sleep: async () => await Promise.resolve(pausing.abort(reason)) }
    await expect(callerOf(depot, { clock }).caller.done({ path: '/pause' }, pausing.signal)).rejects.toBe(
      reason,
    )
  })
})

describe('another fetch', () => {
  it('is used when given, also for what is tried again', async () => {
    const urls: string[] = []
    const { caller } = callerOf(
      { url: 'http://depot.example' },
      {
        fetch: async (url) => {
          urls.push(url.href)
          return await Promise.resolve(
            urls.length === 1 ? new Response('', { status: 503 }) : Response.json({ answer: 1 }),
          )
        },
      },
    )
    expect(await caller.json(Any, { path: '/v1/head' })).toEqual({ answer: 1 })
    expect(urls).toEqual(['http://depot.example/v1/head', 'http://depot.example/v1/head'])
  })
})
