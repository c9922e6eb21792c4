/**
 * `/v1/stages/{stage}/missing` and `.../blobs`: bytes into a stage, many small ones at once, or one that may be
 * interrupted and continued (draft-ietf-httpbis-resumable-upload).
 */

import type { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import Type from 'typebox'
import type { Depot } from '../../depot/depot.ts'
import type { Progress, UploadPart } from '../../depot/stage/add-blobs.ts'
import { digestOfHex } from '../../model/digest.ts'
import { failure } from '../../model/errors.ts'
import { LIMITS } from '../../model/limits.ts'
import type { Clock } from '../../model/world.ts'
import { decodeBatch } from '../../wire/batch.ts'
import type { DeclaredBlob } from '../../wire/bodies.ts'
import { demandShortList, readDeclaredJson, readDeclaredLines } from '../../wire/declared.ts'
import { HEADERS, MEDIA } from '../../wire/headers.ts'
import { PATHS, stageBlobPath } from '../../wire/paths.ts'
import {
  DeclaredBlob as DeclaredSchema,
  MissingBody,
  MissingRequest as MissingSchema,
  StoredBody,
  StoredManyBody,
} from '../../wire/schemas.ts'
import type { Guard } from '../guard.ts'
import { stampStage } from './stages.ts'

type Parts = Pick<Depot, 'stages' | 'blobs' | 'clock'>
interface StageParams {
  readonly stage: string
}
interface BlobParams extends StageParams {
  readonly hex: string
}

const NO_BYTES = Buffer.alloc(0)
const BLOB_URL = `${PATHS.stages}/:stage/blobs/sha256/:hex`

/** Bodies are taken as bytes, and their type is looked at before anything of them is read. */
export function stageBlobRoutes(server: FastifyInstance, parts: Parts, guard: Guard): void {
  server.removeAllContentTypeParsers()
  server.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => {
    done(null, body)
  })

  server.post<{ Params: StageParams; Body: Buffer | undefined }>(
    `${PATHS.stages}/:stage/missing`,
    {
      bodyLimit: LIMITS.requestBodyBytes,
      schema: {
        summary: 'Declare blobs, learn which are absent',
        tags: ['publish'],
        body: {
          content: {
            [MEDIA.json]: { schema: MissingSchema },
            [MEDIA.ndjson]: { schema: { ...DeclaredSchema, description: 'one blob a line' } },
          },
        },
        response: { 200: MissingBody },
      },
      // The body is still bytes then; whoever parses them looks at every blob, and stops at the first that is wrong.
      validatorCompiler: () => () => true,
      onRequest: (request, _reply, done) => {
        if (demandType(request, MEDIA.json, MEDIA.ndjson) === MEDIA.json)
          demandShortList(Number(request.headers['content-length'] ?? 0))
        done()
      },
    },
    async (request, reply) => {
      const actor = guard.actor(request)
      return await parts.stages.during(actor, request.params.stage, async (stage) => {
        const declared = await declaredIn(request, parts.clock)
        const missing = await parts.blobs.missing(actor, stage, declared)
        return stampStage(reply, stage).send({ missing })
      })
    },
  )

  server.post<{ Params: StageParams; Body: Buffer | undefined }>(
    `${PATHS.stages}/:stage/blobs`,
    {
      bodyLimit: LIMITS.batchBytes,
      schema: {
        summary: 'Many small blobs',
        tags: ['publish'],
        consumes: [MEDIA.blobs],
        response: { 200: StoredManyBody },
      },
      onRequest: (request, _reply, done) => {
        demandType(request, MEDIA.blobs)
        done()
      },
    },
    async (request, reply) => {
      const actor = guard.actor(request)
      return await parts.stages.during(actor, request.params.stage, async (stage) => {
        const stored = await parts.blobs.putAll(actor, stage, decodeBatch(request.body ?? NO_BYTES))
        return stampStage(reply, stage).send({ stored })
      })
    },
  )
}

async function declaredIn(
  request: FastifyRequest<{ Body: Buffer | undefined }>,
  clock: Clock,
): Promise<readonly DeclaredBlob[]> {
  const body = request.body ?? NO_BYTES
  if (demandType(request, MEDIA.json, MEDIA.ndjson) === MEDIA.json) return readDeclaredJson(body)
  return await readDeclaredLines(body, clock)
}

/** Bodies are streams here, so these routes stand in a context with a parser of their own. */
export function uploadRoutes(server: FastifyInstance, parts: Parts, guard: Guard): void {
  server.removeAllContentTypeParsers()
  server.addContentTypeParser('*', (_request, payload, done) => {
    done(null, payload)
  })

  server.route<{ Params: BlobParams }>({
    method: ['PUT', 'PATCH'],
    url: BLOB_URL,
    bodyLimit: Number.MAX_SAFE_INTEGER,
    schema: {
      summary: 'Upload a blob (PUT), or go on with it from Upload-Offset (PATCH)',
      tags: ['publish'],
      consumes: [MEDIA.bytes, MEDIA.partial],
      response: {
        200: StoredBody,
        201: StoredBody,
        204: {
          ...Type.Null(),
          description: 'a part was taken; Upload-Offset says how far the blob has come',
        },
      },
    },
    handler: async (request, reply) => {
      const actor = guard.actor(request)
      return await parts.stages.during(actor, request.params.stage, async (stage, alive) => {
        const part = partOf(request)
        stampStage(reply, stage)
        const outcome = await parts.blobs.upload(actor, stage, { ...part, bytes: telling(part.bytes, alive) })
        if (outcome.kind === 'partial')
          return stampUpload(reply, { offset: outcome.offset, complete: false }).code(204).send()
        if (!outcome.fresh) return reply.code(200).send(outcome.stored)
        return reply.code(201).header('location', stageBlobPath(stage.id, part.digest)).send(outcome.stored)
      })
    },
  })

  server.head<{ Params: BlobParams }>(
    BLOB_URL,
    {
      schema: {
        summary: 'How far an upload is',
        tags: ['publish'],
        response: { 204: { ...Type.Null(), description: 'Upload-Offset and Upload-Complete say it' } },
      },
    },
    async (request, reply) => {
      const stage = parts.stages.use(guard.actor(request), request.params.stage)
      const digest = digestOfHex(request.params.hex)
      const progress = await parts.blobs.progress(stage, digest)
      if (progress === undefined) throw failure('not-found', { what: `upload of ${digest} to this stage` })
      return stampUpload(stampStage(reply, stage), progress).code(204).send()
    },
  )
}

function stampUpload(reply: FastifyReply, { offset, complete }: Progress): FastifyReply {
  return reply.header(HEADERS.uploadOffset, offset).header(HEADERS.uploadComplete, complete ? '?1' : '?0')
}

/** What a PUT or PATCH brings. Fails with `bad-request`. */
function partOf(request: FastifyRequest<{ Params: BlobParams }>): UploadPart {
  const isPatch = request.method === 'PATCH'
  if (isPatch) demandType(request, MEDIA.partial)
  const complete = isComplete(request)
  const offset = isPatch ? countOf(request, HEADERS.uploadOffset) : 0
  if (offset === undefined) throw failure('bad-request', { reason: `a PATCH needs ${HEADERS.uploadOffset}` })
  const length = countOf(request, 'content-length')
  const whole = countOf(request, HEADERS.uploadLength)
  const size = whole ?? (complete && length !== undefined ? offset + length : undefined)
  return {
    digest: digestOfHex(request.params.hex),
    offset,
    bytes: bodyOf(request),
    complete,
    ...(size === undefined ? {} : { size }),
  }
}

/** Whether the upload ends with this request; it does where nothing is said. */
function isComplete(request: FastifyRequest): boolean {
  const text = request.headers[HEADERS.uploadComplete] ?? '?1'
  if (text !== '?1' && text !== '?0')
    throw failure('bad-request', { reason: `${HEADERS.uploadComplete} must be ?1 or ?0` })
  return text === '?1'
}

function countOf(request: FastifyRequest, header: string): number | undefined {
  const text = request.headers[header]
  if (text === undefined) return undefined
  const count = Number(text)
  if (!/^\d{1,16}$/.test(String(text)) || !Number.isSafeInteger(count))
    throw failure('bad-request', { reason: `${header} must be a number of bytes` })
  return count
}

/** The body as it comes; none at all is no bytes. Who reads no further leaves it open, for the answer is to come yet. */
function bodyOf(request: FastifyRequest): AsyncIterable<Uint8Array> {
  const body = (request.body as Readable | undefined) ?? request.raw
  return body.iterator({ destroyOnReturn: false })
}

/** The pieces, each of which tells that the sender is there still. */
async function* telling(pieces: AsyncIterable<Uint8Array>, alive: () => void): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    alive()
    yield piece
  }
}

/** The type of the body, without parameters. Fails with `unsupported-media-type`. */
function demandType(request: Pick<FastifyRequest, 'headers'>, ...expected: readonly string[]): string {
  const mediaType = (request.headers['content-type'] ?? 'nothing').split(';')[0]?.trim().toLowerCase() ?? ''
  if (!expected.includes(mediaType))
    throw failure('unsupported-media-type', { mediaType, expected: expected.join(' or ') })
  return mediaType
}
