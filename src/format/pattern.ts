/**
 * Patterns that leave files out, as people know them from ignore files: `*` and `?` within a segment, `**` across
 * segments. A pattern without a slash means a file or folder of that name anywhere; one with a slash is a path from
 * the top. What leaves out a folder leaves out everything in it.
 */

export type PathTest = (path: string) => boolean

export function anyOf(patterns: readonly string[]): PathTest {
  const expressions = patterns.map(expressionOf)
  return (path) => expressions.some((expression) => expression.test(path))
}

function expressionOf(pattern: string): RegExp {
  const bare = pattern.replace(/^\.?\//, '').replace(/\/+$/, '')
  const anywhere = !pattern.replace(/\/+$/, '').includes('/')
  const source = bare.replaceAll(/\*\*\/|\*\*|\*|\?|[\\^$.|+()[\]{}]/g, (token) => {
    if (token === '**/') return '(?:[^/]+/)*'
    if (token === '**') return '.*'
    if (token === '*') return '[^/]*'
    if (token === '?') return '[^/]'
    return `\\${token}`
  })
  return new RegExp(`^${anywhere ? '(?:.*/)?' : ''}${source}$`, 'su')
}
