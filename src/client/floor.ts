/**
 * The floor: the newest generation that somebody has seen of a depot, and so the least one to accept (PROTOCOL §13).
 *
 * A store only keeps it; that it never goes back is `Heads`'s care. What a store promises is said in `kept.ts`.
 */
import { type Gid, isGid } from '../model/generation.ts'
import { FileKept, type FileOptions, type Kept, type Kind, LenientKept, MemoryKept } from './kept.ts'

export type FloorStore = Kept<Gid>
export type FileFloorOptions = FileOptions

const FLOOR: Kind<Gid> = { name: 'floor', mark: '', is: isGid }

export class MemoryFloor extends MemoryKept<Gid> {}

export class FileFloor extends FileKept<Gid> {
  constructor(options: FileFloorOptions) {
    super(options, FLOOR)
  }
}

export class LenientFloor extends LenientKept<Gid> {}
