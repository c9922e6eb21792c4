/**
 * Bytes on their way to a client, held against the digest that they should have.
 */
import { createHash } from 'node:crypto'
import { Transform, type TransformCallback } from 'node:stream'

/** Lets bytes through, one piece late, and fails where they are not what they should be. */
export class Checking extends Transform {
  readonly #expected: string
  readonly #hash = createHash('sha256')
  #last: Buffer | undefined

  /** The SHA-256, in hexadecimal. */
  constructor(expected: string) {
    super()
    this.#expected = expected
  }

  override _transform(piece: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#hash.update(piece)
    const last = this.#last
    this.#last = piece
    done(null, last)
  }

  override _flush(done: TransformCallback): void {
    if (this.#hash.digest('hex') === this.#expected) done(null, this.#last)
    else done(new Error('the bytes are not what their digest says'))
  }
}
