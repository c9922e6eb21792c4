/** Failures as HTTP answers: a status for every code, and a body that no detail can bend (PROTOCOL §6, RFC 9457). */
import { type FastifyInstance, fastify } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { failureOf, problemOf, statusOf, statusOfCode } from '../../src/http/problem.ts'
import { problemRoutes } from '../../src/http/routes/problems.ts'
import { DepotError, errorCodes, failure, titleOf } from '../../src/model/errors.ts'
import { LIMITS } from '../../src/model/limits.ts'
import { SAMPLES, sampleOf } from '../model/failure-samples.ts'

const HEAD = 'g7.k3x7m2q5wz4a.0000000000000000'

/** As PROTOCOL §6 has them; the pinned form where a floor has another. */
const PROTOCOL: Readonly<Record<number, string>> = {
  400: 'bad-generation pin-conflict digest-mismatch',
  401: 'unauthorised',
  403: 'forbidden',
  404: 'generation-unknown lineage-foreign not-found stage-unknown',
  409: 'name-conflict origin-diverged idempotency-mismatch conflict channel-frozen',
  410: 'generation-retired withdrawn generation-lost stage-expired',
  412: 'base-changed',
  413: 'limit-exceeded',
  422: 'blob-missing path-invalid version-invalid manifest-invalid',
  429: 'rate-limited',
  500: 'blob-corrupt',
  503: 'generation-behind head-unconfirmed blob-unavailable hold-limit booting draining origin-unreachable access-unconfirmed',
  507: 'disk-full',
  508: 'relay-loop',
}

describe.each(errorCodes())('the problem %s', (code) => {
  const error = sampleOf(code)
  const { status, body, retryAfter } = problemOf(error, 'req-1', HEAD)

  it('has a status of a failure', () => {
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(600)
    expect(status).toBe(statusOfCode(code))
    expect(status).toBe(statusOf(error))
  })

  it('has a type, a title, a status, a detail and an instance', () => {
    expect(body).toMatchObject({
      type: `/problems/${code}`,
      title: titleOf(code),
      status,
      detail: error.message,
      instance: code === 'internal' ? SAMPLES.internal.instance : 'req-1',
    })
  })

  it('carries its details, but for those that have the name of one of these', () => {
    const { type: _, instance: __, ...details } = SAMPLES[code] as Record<string, unknown>
    expect(body).toMatchObject(details)
  })

  it('is JSON whatever is in it', () => {
    expect(JSON.parse(JSON.stringify(body))).toEqual(body)
  })

  it('names a time to wait only where waiting helps', () => {
    if (retryAfter !== undefined) expect([409, 429, 503]).toContain(status)
    if (status === 503 || status === 429) expect(retryAfter).toBeGreaterThanOrEqual(1)
  })
})

describe('the statuses', () => {
  it.each(
    Object.entries(PROTOCOL).flatMap(([status, codes]) =>
      codes.split(' ').map((code) => [code, Number(status)]),
    ),
  )('of %s is %d, as PROTOCOL §6 has it', (code, status) => {
    expect(errorCodes().map((known) => [known, statusOfCode(known)])).toContainEqual([code, status])
  })

  it.each(['generation-unknown', 'generation-lost', 'lineage-foreign'] as const)(
    'of %s is 412 when a floor cannot be met',
    (code) => {
      const details = { wanted: HEAD, generation: HEAD, floor: true }
      expect(problemOf(failure(code, details), 'req-1', HEAD)).toMatchObject({
        status: 412,
        body: { status: 412 },
      })
    },
  )

  it('of a pin below the floor is 412', () => {
    expect(problemOf(sampleOf('pin-below-floor'), 'req-1', HEAD).status).toBe(412)
  })
})

describe('details', () => {
  it('never stand in the place of what makes a problem', () => {
    const hostile = new DepotError('not-found', {
      what: 'x',
      type: 'https://evil.example/',
      title: 'Everything is fine',
      status: 200,
      detail: 'nothing to see',
      instance: 'req-666',
    })
    expect(problemOf(hostile, 'req-1', HEAD)).toEqual({
      status: 404,
      body: {
        what: 'x',
        type: '/problems/not-found',
        title: 'Not found',
        status: 404,
        detail: 'there is no x; look at the catalog of this generation for what there is',
        instance: 'req-1',
        generation: HEAD,
      },
    })
  })

  it('name the generation that the refusal is true for, where they know it better', () => {
    expect(problemOf(sampleOf('not-found'), 'req-1', HEAD).body['generation']).toBe(HEAD)
    expect(problemOf(sampleOf('generation-behind'), 'req-1', HEAD).body['generation']).toBe(
      SAMPLES['generation-behind'].generation,
    )
  })
})

describe('the time to wait', () => {
  it.each([
    [1, 1],
    [1000, 1],
    [1001, 2],
    [0, 1],
    [59_999, 60],
  ])('is %d ms told as %d s', (retryAfterMs, seconds) => {
    expect(problemOf(failure('rate-limited', { retryAfterMs }), 'req-1', HEAD).retryAfter).toBe(seconds)
  })

  it.each([
    ['origin-unreachable', 5],
    ['booting', 1],
    ['draining', 1],
    ['generation-behind', 1],
    ['not-found', undefined],
    ['conflict', undefined],
  ] as const)('of %s is %s', (code, seconds) => {
    expect(problemOf(sampleOf(code), 'req-1', HEAD).retryAfter).toBe(seconds)
  })
})

describe('what was thrown', () => {
  it('stays the failure that it is', () => {
    const error = sampleOf('conflict')
    expect(failureOf(error, 'req-1')).toBe(error)
  })

  it.each([
    ['a bug', new TypeError('x is not a function')],
    ['text', 'oops'],
    ['nothing', undefined],
    ['a failure of the framework', Object.assign(new Error('x'), { statusCode: 500 })],
    ['a status that is none', Object.assign(new Error('x'), { statusCode: '400' })],
    ['a success', Object.assign(new Error('x'), { statusCode: 200 })],
  ])('is internal when it is %s, and tells nobody why', (_, thrown) => {
    const error = failureOf(thrown, 'req-1')
    expect(error.code).toBe('internal')
    const { body } = problemOf(error, 'req-1', HEAD)
    expect(JSON.stringify(body)).not.toMatch(/oops|is not a function/)
    expect(body['detail']).toContain('req-1')
  })

  it('is kept as the cause of a bug, for the log', () => {
    const bug = new TypeError('x is not a function')
    expect(failureOf(bug, 'req-1').cause).toBe(bug)
  })
})

describe('what the framework refuses', () => {
  const JSON_TYPE = 'application/json'
  const server = fastify({ bodyLimit: 100 })
  server.setErrorHandler((error, _request, reply) => {
    const { status, body } = problemOf(failureOf(error, 'req-1'), 'req-1', HEAD)
    return reply.code(status).send(body)
  })
  server.post('/', { schema: { body: { type: 'object', required: ['a'] } } }, async () => 'done')
  afterAll(async () => {
    await server.close()
  })

  it.each([
    ['no JSON', '{', JSON_TYPE, 'bad-request'],
    ['an empty body', '', JSON_TYPE, 'bad-request'],
    ['a body that the schema refuses', '{}', JSON_TYPE, 'bad-request'],
    ['a body that would change every object', '{"a":1,"__proto__":{"b":1}}', JSON_TYPE, 'bad-request'],
    ['another media type', 'a', 'text/html', 'unsupported-media-type'],
    ['a body that is too large', `"${'a'.repeat(100)}"`, JSON_TYPE, 'limit-exceeded'],
  ] as const)('is told in our words: %s', async (_, payload, type, code) => {
    const headers = { 'content-type': type }
    const reply = await server.inject({ method: 'POST', url: '/', payload, headers })
    expect(reply.statusCode).toBe(statusOfCode(code))
    expect(reply.json()).toMatchObject({ type: `/problems/${code}`, status: statusOfCode(code) })
  })

  it('names a limit on the body that is one, and the one of the route where it is known', () => {
    const tooLarge = Object.assign(new Error('x'), { code: 'FST_ERR_CTP_BODY_TOO_LARGE', statusCode: 413 })
    expect(failureOf(tooLarge, 'req-1').details['limit']).toBe(LIMITS.jsonBodyBytes)
    expect(failureOf(tooLarge, 'req-1', 100).message).toBe('bytes of the body: at most 100 are allowed')
  })
})

describe('the pages that types of problems point at', () => {
  let server: FastifyInstance
  beforeAll(async () => {
    server = fastify()
    server.setErrorHandler((error, _request, reply) => reply.code(statusOf(failureOf(error, 'req-1'))).send())
    problemRoutes(server)
    await server.ready()
  })
  afterAll(async () => {
    await server.close()
  })

  it.each(errorCodes())('%s has one, with its title and status', async (code) => {
    const reply = await server.inject(`/problems/${code}`)
    expect(reply.statusCode).toBe(200)
    expect(reply.headers['content-type']).toBe('text/plain; charset=utf-8')
    expect(reply.body).toContain(titleOf(code))
    expect(reply.body).toContain(`HTTP status ${statusOfCode(code)}.`)
  })

  it('are all listed', async () => {
    const { body } = await server.inject('/problems')
    expect(body.trimEnd().split('\n')).toEqual(
      errorCodes().map((code) => `${statusOfCode(code)} /problems/${code}  ${titleOf(code)}`),
    )
  })

  it.each(['nonsense', '__proto__', 'constructor', 'toString'])('there is none of %s', async (code) => {
    expect((await server.inject(`/problems/${code}`)).statusCode).toBe(404)
  })
})
