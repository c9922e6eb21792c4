/**
 * The HTTP face of the engine: one fastify server with every route, and what holds for all of them: the generation on
 * every answer, failures as problems, bounds on what comes in, and the log.
 */
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type RequestListener,
  type Server,
  ServerResponse,
} from 'node:http'
import swagger from '@fastify/swagger'
import { TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox'
import {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  fastify,
  LogController,
} from 'fastify'
import type { Depot } from '../depot/depot.ts'
import type { Node } from '../depot/node.ts'
import { failure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import type { Clock, Random } from '../model/world.ts'
import { HEADERS, MEDIA } from '../wire/headers.ts'
import type { OriginBody } from '../wire/replication.ts'
import { watchMethods } from './allowed-methods.ts'
import { gidOfHead } from './answer.ts'
import { answerProblem } from './answer-problem.ts'
import { answerBare, answerUnread, type Stamp } from './bare-answer.ts'
import { BodyBounds } from './bounds/body-bounds.ts'
import { demandPlainBody } from './bounds/encodings.ts'
import type { IdleSockets } from './bounds/idle-sockets.ts'
import { takeOriginForm } from './bounds/origin-form.ts'
import { described } from './described.ts'
import { type Elsewhere, Gate, OUTCOMES, type Outcome, type Relay } from './gate/gate.ts'
import { Guard } from './guard.ts'
import { HotAnswers } from './hot-answers.ts'
import type { Metrics } from './metrics.ts'
import { demandOf } from './mounts.ts'
import { PlainReads } from './plain-reads.ts'
import { failureOf, problemOf } from './problem.ts'
import { type Rate, RateLimit } from './rate-limit.ts'
import { registerRoutes } from './register-routes.ts'
import type { LineageFace } from './routes/lineage/lineage.ts'
import type { ScrubParts } from './routes/scrub.ts'

export interface FaceOptions {
  readonly closedReads: boolean
  /** Writes of one token, and of one address. */
  readonly tokenRate: Rate
  readonly addressRate: Rate
  readonly quotaBytes: number | undefined
  readonly metricsToken: string | undefined
  readonly answerCacheBytes: number
  readonly accessLog: boolean
  readonly trustProxy: boolean | string
  readonly version: string
  /** Where clients reach this depot, when that is not where it listens. */
  readonly publicUrl: string | undefined
}

export interface FaceParts {
  readonly depot: Depot
  readonly scrub: ScrubParts['scrub']
  readonly log: FastifyBaseLogger
  readonly clock: Clock
  readonly random: Random
  readonly options: FaceOptions
  readonly metrics: Metrics
  readonly isDraining: () => boolean
  readonly sockets: IdleSockets
  /** The value of `Depot-Node`: asked for every answer, so it must be at hand. */
  readonly node: () => string
  /** What this node knows of itself. */
  readonly standing: Node
  readonly relay: Relay
  readonly elsewhere: Elsewhere
  /** As nodes that follow this one are told. */
  readonly whereOrigin: () => OriginBody
  readonly lineage: LineageFace
}

/** The server, for whoever opens and closes it. */
export type Face = FastifyInstance

const REQUEST_ID_BYTES = 6

/** A server that is ready to listen. */
export async function buildServer(parts: FaceParts): Promise<Face> {
  const { depot, metrics, clock, options } = parts
  const hot = new HotAnswers(options.answerCacheBytes)
  metrics.gauge({
    kind: 'counter',
    name: 'depot_http_ready_answers_total',
    help: 'Answers from the cache of ready answers; they are not among the durations.',
    read: () => hot.given(),
  })
  const guard = new Guard(depot.access, {
    closedReads: options.closedReads,
    byToken: new RateLimit(options.tokenRate, clock),
    byAddress: new RateLimit(options.addressRate, clock),
  })
  const plain =
    options.closedReads || options.accessLog ? undefined : new PlainReads({ ...depot, hot, metrics })
  const { sockets } = parts
  const server = frame(parts, (listener) => (request, response) => {
    sockets.note(request, response)
    takeOriginForm(request)
    if (request.headers.host === undefined && request.httpVersion === '1.1') {
      const nameless = failure('bad-request', { reason: 'a request of HTTP/1.1 needs the header Host' })
      answerBare(nameless, request.socket, stampOf(parts))
      return
    }
    // A body that comes in a way nobody knows is refused wherever it goes.
    const isStrange = request.headers['transfer-encoding'] !== undefined
    const isAnswered =
      !isStrange && (hot.answer(request, response) || plain?.answer(request, response) === true)
    if (!isAnswered) listener(request, response)
  })
  await server.register(swagger, {
    exposeHeadRoutes: true,
    transform: described,
    openapi: {
      // The schemas are those of JSON Schema 2020-12.
      openapi: '3.1.0',
      info: {
        title: 'Depot',
        version: options.version,
        description: 'A versioned package depot: stage, commit, and one pointer flips.',
      },
      ...(options.publicUrl === undefined ? {} : { servers: [{ url: options.publicUrl }] }),
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
    },
  })
  // Text becomes a number in a query, where all is text; in a body a number is a number and null is null.
  server.setValidatorCompiler(TypeBoxValidatorCompiler)
  // Contexts inherit what stands when they are made, so this comes before the routes.
  stampAll(server, parts)
  report(server, parts)
  const refuseOthers = watchMethods(server)
  const bodies = new BodyBounds(LIMITS.bufferedBodyBytes, LIMITS.requestTimeoutMs)
  const gate = new Gate({ ...parts, node: parts.standing })
  watchGate(parts.metrics, gate)
  await registerRoutes(server, { ...parts, guard, hot, bodies, gate })
  refuseOthers()
  return server
}

/** The bare server: its bounds, and what happens to what is no request. */
function frame(parts: FaceParts, wrap: (listener: RequestListener) => RequestListener): FastifyInstance {
  const { depot, log, random, options, sockets } = parts
  const generation = (): string => gidOfHead(depot.head)
  const stamp = (): Stamp => stampOf(parts)
  return fastify({
    loggerInstance: log,
    // A logger for each request would cost more than a small answer; lines carry the request's id themselves.
    childLoggerFactory: (logger) => logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: LIMITS.jsonBodyBytes,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    // `answerUnread` answers these, after those that came before on the connection.
    clientErrorHandler: () => undefined,
    trustProxy: options.trustProxy,
    exposeHeadRoutes: true,
    routerOptions: { maxParamLength: LIMITS.urlBytes, ignoreTrailingSlash: false },
    genReqId: requestIds(random),
    serverFactory: (listener): Server => {
      const server = createServer(
        {
          ServerResponse: responsesOf(parts),
          maxHeaderSize: LIMITS.headerBytes,
          // Checked above: node:http would answer without Depot-Generation.
          requireHostHeader: false,
          requestTimeout: 0,
          headersTimeout: LIMITS.requestTimeoutMs,
          keepAliveTimeout: LIMITS.connectionIdleMs,
        },
        wrap(listener as RequestListener),
      )
      sockets.watch(server, LIMITS.requestTimeoutMs, stamp)
      answerUnread(server, stamp)
      return server
    },
    frameworkErrors: (error, request, untyped) => {
      const problem = problemOf(failure('bad-request', { reason: error.message }), request.id, generation())
      const reply = untyped as unknown as FastifyReply
      void reply
        .code(problem.status)
        .header(HEADERS.generation, generation())
        .header('cache-control', 'no-store')
        .type(MEDIA.problem)
        .send(JSON.stringify(problem.body))
    },
  }) as unknown as FastifyInstance
}

function watchGate(metrics: Metrics, gate: Gate): void {
  metrics.gauge({ name: 'depot_holds', help: 'Requests that wait for a generation.', read: () => gate.holds })
  for (const outcome of OUTCOMES)
    metrics.gauge({
      kind: 'counter',
      name: `depot_requests_${outcome}_total`,
      help: GATE_HELP[outcome],
      read: () => gate.count(outcome),
    })
}

const GATE_HELP: Readonly<Record<Outcome, string>> = {
  held: 'Requests that had to wait for a generation.',
  confirmed: 'Times that the origin has given its word for a request.',
  relayed: 'Requests that another node has answered.',
  redirected: 'Requests that were sent to another node.',
  refused: 'Requests that were refused for how this node is.',
}

function stampOf({ depot, node }: Pick<FaceParts, 'depot' | 'node'>): Stamp {
  return { generation: gidOfHead(depot.head), node: node() }
}

/** Answers with `Depot-Node`, whoever writes them: many pass the framework by. */
function responsesOf({ node, isDraining }: Pick<FaceParts, 'node' | 'isDraining'>): typeof ServerResponse {
  return class<Request extends IncomingMessage> extends ServerResponse<Request> {
    override writeHead(status: number, ...more: readonly unknown[]): this {
      // So that nobody sends the next request on a connection that is about to be closed.
      if (isDraining()) this.shouldKeepAlive = false
      const headers = more.at(-1)
      // A prepared list may be used again by others.
      if (Array.isArray(headers))
        return super.writeHead(status, [...(headers as string[]), HEADERS.node, node()])
      const named = typeof headers === 'object' ? (headers as OutgoingHttpHeaders) : {}
      return super.writeHead(status, { ...named, [HEADERS.node]: node() })
    }
  }
}

/** Names that no other request has had: chance once for the process, then a count. */
function requestIds(random: Random): () => string {
  const process = Buffer.from(random.bytes(REQUEST_ID_BYTES)).toString('base64url')
  let count = 0
  return () => {
    count += 1
    return `req-${process}-${count.toString(36)}`
  }
}

/** The head on every answer, until a route says better; and what holds for every request. */
function stampAll(server: FastifyInstance, { depot }: FaceParts): void {
  server.addHook('onRequest', (request, reply, done) => {
    reply.header(HEADERS.generation, gidOfHead(depot.head))
    // Malformed ones are refused everywhere, also where they ask for nothing (PROTOCOL §2).
    demandOf(request)
    demandPlainBody(request.headers)
    done()
  })
}

/** What node:http says of a body that ends too early, whose sender hears nothing of all this any more. */
function isBrokenOff(thrown: unknown): boolean {
  const { code, name } = (thrown ?? {}) as { readonly code?: unknown; readonly name?: unknown }
  return code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE' || name === 'AbortError'
}

function report(server: FastifyInstance, { depot, metrics, options }: FaceParts): void {
  server.setNotFoundHandler((request) => {
    throw failure('not-found', { what: `${request.method} ${request.url.slice(0, 200)} in this API` })
  })

  server.setErrorHandler((thrown, request, reply) => {
    const error = failureOf(thrown, request.id, request.routeOptions.bodyLimit)
    if (isBrokenOff(thrown)) request.log.debug({ url: request.url }, 'the client broke off')
    else if (error.code === 'internal') request.log.error({ err: thrown, url: request.url }, 'a bug')
    return answerProblem(request, reply, {
      error,
      head: gidOfHead(depot.head),
      closedReads: options.closedReads,
    })
  })

  server.addHook('onResponse', (request, reply, done) => {
    const seconds = reply.elapsedTime / 1000
    metrics.count(request.method, request.routeOptions.url ?? 'none', reply.statusCode, seconds)
    if (options.accessLog)
      request.log.info(
        {
          method: request.method,
          url: request.url,
          status: reply.statusCode,
          ms: Math.round(reply.elapsedTime * 10) / 10,
          gid: reply.getHeader(HEADERS.generation),
          ip: request.ip,
        },
        'answered',
      )
    done()
  })
}
