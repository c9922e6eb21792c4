/**
 * The media type of a file by the end of its name. A small table of what everybody agrees on: where nothing stands
 * here a manifest says nothing, and that is no loss.
 */

const MEDIA_TYPES: ReadonlyMap<string, string> = new Map([
  ['cjs', 'text/javascript'],
  ['css', 'text/css'],
  ['gif', 'image/gif'],
  ['gz', 'application/gzip'],
  ['htm', 'text/html'],
  ['html', 'text/html'],
  ['jpeg', 'image/jpeg'],
  ['jpg', 'image/jpeg'],
  ['js', 'text/javascript'],
  ['json', 'application/json'],
  ['md', 'text/markdown'],
  ['mjs', 'text/javascript'],
  ['pdf', 'application/pdf'],
  ['png', 'image/png'],
  ['svg', 'image/svg+xml'],
  ['tar', 'application/x-tar'],
  ['tgz', 'application/gzip'],
  ['txt', 'text/plain'],
  ['wasm', 'application/wasm'],
  ['webp', 'image/webp'],
  ['xml', 'application/xml'],
  ['zip', 'application/zip'],
  ['zst', 'application/zstd'],
])

export function mediaTypeOf(path: string): string | undefined {
  const [, ending] = /[^/]\.([^./]+)$/.exec(path) ?? []
  return ending === undefined ? undefined : MEDIA_TYPES.get(ending.toLowerCase())
}
