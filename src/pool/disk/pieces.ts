/**
 * The bytes of a file in pieces.
 *
 * It is read into two buffers of 1 MiB that are used again and again: while the reader is busy with one, the
 * other one fills. Measured elsewhere: that serves 10 MiB as fast as nginx does, a read stream of 64 KiB half as fast.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { type Hasher, hasher } from '../../model/digest.ts'
import { PIECE_BYTES } from '../expected.ts'

/**
 * The bytes of a file from `start` up to, not including, `end`; fewer when the file ends before. A piece is valid
 * until the next one is asked for.
 */
export async function* readPieces(
  path: string,
  start: number,
  end: number,
  pieceBytes: number = PIECE_BYTES,
): AsyncGenerator<Uint8Array> {
  if (start >= end) return
  const file = await open(path, 'r')
  const size = Math.min(pieceBytes, end - start)
  const buffers = [
    Buffer.allocUnsafeSlow(size),
    Buffer.allocUnsafeSlow(end - start > size ? size : 0),
  ] as const
  let ahead = read(file, buffers[0], start, end)
  try {
    for (let position = start, turn = 1; position < end; turn += 1) {
      const bytes = await ahead
      if (bytes instanceof Error) throw bytes
      if (bytes.length === 0) return
      position += bytes.length
      if (position < end) ahead = read(file, buffers[turn % 2 === 0 ? 0 : 1], position, end)
      yield bytes
    }
  } finally {
    // The reader may have left early: the buffer must not be written to when it is gone.
    await ahead
    await file.close()
  }
}

/** Hashes the first `end` bytes of a file, and tells how many there were. */
export async function hashFile(path: string, end: number): Promise<{ hasher: Hasher; size: number }> {
  const sum = hasher()
  let size = 0
  // Every piece is a trip to a thread, so that others have their turn between.
  for await (const piece of readPieces(path, 0, end)) {
    sum.update(piece)
    size += piece.length
  }
  return { hasher: sum, size }
}

/** Never rejects: nobody may be waiting for it at the time. */
async function read(
  file: FileHandle,
  buffer: Buffer,
  position: number,
  end: number,
): Promise<Uint8Array | Error> {
  try {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, end - position), position)
    return buffer.subarray(0, bytesRead)
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error), { cause: error })
  }
}
