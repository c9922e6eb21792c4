/**
 * `fetch`, as undici has it, and not that of Node: there (undici 7, in Node 22 and 24) a server that closes a connection
 * while nobody reads the body ends the process, for an assertion fails where nobody can catch it.
 */
import { Agent, fetch } from 'undici'

/** With the types of Node's own, which differ from those of undici only in what a dispatcher is. */
export type Fetch = (url: URL, init: RequestInit) => Promise<Response>

/** On a connection that is open already, where there is one. */
export const fetchKept: Fetch = async (url, init) => await send(url, init)

/** On a connection that was not used before, so that a balancer may choose another node. */
export const fetchAnew: Fetch = async (url, init) => await send(url, init, new Agent({ connections: 1 }))

async function send(url: URL, init: RequestInit, dispatcher?: Agent): Promise<Response> {
  const options = { ...init, ...(dispatcher === undefined ? {} : { dispatcher }) } as unknown as Options
  return (await fetch(url, options)) as unknown as Response
}

type Options = NonNullable<Parameters<typeof fetch>[1]>
