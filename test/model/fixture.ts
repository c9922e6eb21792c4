/** Golden vectors: what must never change. They were made without the code that they test. */
import { readFileSync } from 'node:fs'

/** A text that is refused, and why. */
export interface Refused {
  readonly text: string
  readonly why: string
}

/** A file of `fixtures/`, in the shape that the test says it has. */
export function fixture<Shape>(name: string): Shape {
  const url = new URL(`../../fixtures/${name}`, import.meta.url)
  return JSON.parse(readFileSync(url, 'utf8')) as Shape
}
