/**
 * The stored form of a node, as somebody else has sent it: it is kept verbatim, so what the pool promises of its own
 * segments (`pool.ts`, N3) is checked here.
 */
import { inflateRawSync } from 'node:zlib'
import { failure } from '../model/errors.ts'
import { LIMITS } from '../model/limits.ts'
import type { PackedNode, Segment } from '../pool/pool.ts'

/** A last block that holds one byte. Behind a segment that others may follow it inflates, and behind no other. */
const LAST_BLOCK = Buffer.from([1, 1, 0, 0xfe, 0xff, 0x2e])
/** How a full flush ends. */
const FLUSHED = Buffer.from([0, 0, 0xff, 0xff])

/** The plain bytes, whose digest nobody has looked at yet. Fails with `blob-corrupt`. */
export function plainOfSent({ digest, segment }: PackedNode): Uint8Array {
  const plain = plainOf(segment)
  if (typeof plain === 'string') throw failure('blob-corrupt', { digest, reason: plain })
  return plain
}

function plainOf({ deflated, length }: Segment): Uint8Array | string {
  if (length > LIMITS.nodeBytes) return `it has ${length} bytes`
  if (!FLUSHED.equals(deflated.subarray(-FLUSHED.length))) return 'it has no end'
  const packed = Buffer.concat([deflated, LAST_BLOCK])
  try {
    const { buffer, engine } = inflate(packed, length + 1)
    // What stands behind an early end would be passed over in silence, here and in every catalog.
    if (engine.bytesWritten !== packed.length) return 'others cannot follow it'
    return buffer.length === length + 1 ? buffer.subarray(0, length) : 'it has another length'
  } catch (error) {
    return `it does not inflate: ${String(error)}`
  }
}

interface Inflated {
  readonly buffer: Buffer
  readonly engine: { readonly bytesWritten: number }
}

/** The types do not know what `info` does. */
function inflate(packed: Buffer, length: number): Inflated {
  const options = { info: true, maxOutputLength: length, chunkSize: Math.max(length + 1, 64) }
  return inflateRawSync(packed, options) as unknown as Inflated
}
