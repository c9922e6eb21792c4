/**
 * What holds for every answer of a depot, whatever was asked (PROTOCOL §2, §6, §7). Every request of these tests is
 * asked through `asking`, so every answer of theirs is held to it.
 */
import Value from 'typebox/value'
import { expect } from 'vitest'
import { errorCodes } from '../../src/model/errors.ts'
import { ProblemBody } from '../../src/wire/schemas.ts'
import { type Answer, type Ask, exchange } from '../support/exchange.ts'

const GENERATION =
  /^(?:any|none|g(?:0|[1-9][0-9]{0,14})\.[a-z][a-z2-7]{11}\.[0-9a-f]{16}(?:;st=(?:sealed|staging))?)$/

const NODE =
  /^[a-z0-9._-]+;role=(?:origin|replica|edge);state=(?:boot|fresh|fenced|lag|cut|diverged|drain);age=\d+(?:\.\d)?$/

export interface Asking {
  /** With the admin's token, unless `headers` has another or `authorization: ''`. */
  (path: string, ask?: Ask): Promise<Answer>
}

export interface Asked {
  readonly url: string
  readonly token: string
}

/** Asks as the admin; `as: ''` asks without a token. */
export function asking({ url, token }: Asked): Asking {
  return async (path, ask = {}) => {
    const { authorization = `Bearer ${token}`, ...headers } = ask.headers ?? {}
    const answer = await exchange(url, path, {
      ...ask,
      headers: authorization === '' ? headers : { ...headers, authorization },
    })
    expectWellFormed(answer, `${ask.method ?? 'GET'} ${path}`)
    return answer
  }
}

export function expectWellFormed(answer: Answer, asked: string): void {
  const about = `${asked} -> ${answer.status}`
  const generation = answer.all('depot-generation')
  expect(generation.length, `${about}: Depot-Generation comes once (I1)`).toBe(1)
  expect(generation[0], `${about}: Depot-Generation is well-formed (I1)`).toMatch(GENERATION)
  const node = answer.all('depot-node')
  expect(node.length, `${about}: Depot-Node comes once`).toBe(1)
  expect(node[0], `${about}: Depot-Node is well-formed`).toMatch(NODE)
  const cache = answer.header('cache-control') ?? ''
  expect(cache, `${about}: every answer says how long it may be kept`).not.toBe('')
  if (/max-age=[1-9]/.test(cache))
    expect(answer.header('depot-head'), `${about}: no cache may freeze Depot-Head (I26)`).toBeUndefined()
  if (answer.status >= 500 || answer.status === 412)
    expect(cache, `${about}: not storable (I15)`).toContain('no-store')
  if (answer.status >= 400) expectProblem(answer, asked)
  if (answer.status === 304 || answer.status === 204) expect(answer.body.length, about).toBe(0)
}

function expectProblem(answer: Answer, asked: string): void {
  const about = `${asked} -> ${answer.status} ${answer.text.slice(0, 200)}`
  expect(answer.header('content-type'), about).toMatch(/^application\/problem\+json(?:; charset=utf-8)?$/)
  for (const name of ['etag', 'content-location', 'repr-digest'])
    expect(answer.header(name), `${about}: ${name}`).toBeUndefined()
  if (asked.startsWith('HEAD ')) return
  const body = answer.json()
  expect(Value.Check(ProblemBody, body), about).toBe(true)
  expect(body['status'], about).toBe(answer.status)
  expect(errorCodes(), about).toContain(answer.problem)
  expect(String(body['generation']), `${about}: the gid that the refusal is true for`).toMatch(
    /^(?:none|g\d+\.[a-z2-7]{12}\.[0-9a-f]{16})$/,
  )
}

/** The id of a stage of its own. */
export async function openStage(ask: Asking): Promise<string> {
  return (await ask('/v1/stages', { method: 'POST' })).json<{ id: string }>().id
}
