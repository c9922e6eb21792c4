/**
 * Publishing in a sentence, for tests that are about something else.
 */
import { type Client, type Generation, type Manifest, sourceOfBytes } from '../../src/client/index.ts'

export interface Wish {
  readonly channel?: string
  readonly name: string
  readonly version: string
  /** Path to text. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>
  readonly summary?: string
}

/** Commits the releases as one generation. */
export async function publish(client: Client, ...wishes: readonly Wish[]): Promise<Generation> {
  const staging = await client.openStage({ message: wishes.map((wish) => wish.name).join(', ') })
  for (const { channel = 'stable', ...wish } of wishes) {
    const { manifest, sources } = releaseOf(wish)
    await staging.upload(sources)
    await staging.put(channel, manifest)
  }
  return (await staging.commit()).generation
}

export function releaseOf({ name, version, files = { 'a.txt': `${name} ${version}` }, summary }: Wish): {
  readonly manifest: Manifest
  readonly sources: readonly ReturnType<typeof sourceOfBytes>[]
} {
  const entries = Object.entries(files).map(([path, text]) => ({
    path,
    source: sourceOfBytes(Buffer.from(text as string)),
  }))
  const manifest = {
    name,
    version,
    files: entries.map(({ path, source }) => ({ path, digest: source.digest, size: source.size })),
    ...(summary === undefined ? {} : { summary }),
  }
  return { manifest: manifest as unknown as Manifest, sources: entries.map(({ source }) => source) }
}
