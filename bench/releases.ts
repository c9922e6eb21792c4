/**
 * Releases by the million, made and not kept: each has a manifest of its own, as small as manifests get.
 */
import { type Client, type Generation, type Manifest, sourceOfBytes } from '../src/client/index.ts'

const BATCH = 5_000

/** Manifests of one file each, the same file for all. */
export function* manifests(count: number, from = 0): Generator<Manifest> {
  const { digest, size } = theFile()
  for (let at = from; at < from + count; at += 1)
    yield {
      name: `package-${hashOf(at)}`,
      version: `1.${at % 10}.${at}`,
      summary: `What package ${at} is for, said in a sentence of usual length`,
      published: '2026-01-01T00:00:00.000Z',
      files: [{ path: 'lib/index.js', digest, size, mode: 0o644 }],
    } as unknown as Manifest
}

/** Stages and commits them in one generation. */
export async function load(client: Client, channel: string, count: number): Promise<Generation> {
  const staging = await client.openStage({ message: `load ${count}` })
  await staging.upload([theFile()])
  for (let from = 0; from < count; from += BATCH)
    await staging.putAll(channel, manifests(Math.min(BATCH, count - from), from))
  return (await staging.commit()).generation
}

/** The one file of them all. */
export function theFile(): ReturnType<typeof sourceOfBytes> {
  return sourceOfBytes(Buffer.from('export const answer = 42\n'))
}

/** Spreads neighbours over the whole range of names. */
function hashOf(at: number): string {
  return (Math.imul(at + 1, 2_654_435_761) >>> 0).toString(16).padStart(8, '0')
}
