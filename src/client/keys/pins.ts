/**
 * The keys of a depot that a client believes, kept beside its floor: the ring as it was seen last, and the key that it
 * was believed for. That nothing else than what a key leads to comes in is `KeyTrust`'s care.
 */
import type { GenerationRecord } from '../../model/generation.ts'
import { epochOf } from '../../model/instant.ts'
import { isKeyId } from '../../model/keys/key.ts'
import { type PinnedRing, textOfRing } from '../../model/keys/pinned.ts'
import { isKeyRing } from '../../model/keys/ring.ts'
import { FileKept, type FileOptions, type Kept, type Kind, LenientKept, MemoryKept } from '../kept.ts'

declare const brand: unique symbol
/**
 * What is pinned, and of a depot that has had several keys the newest generation that was seen of it: what only an old
 * key has signed may not claim to come after that and to be created before it.
 */
export interface Pin extends PinnedRing {
  readonly newest?: Pick<GenerationRecord, 'number' | 'created'>
}

/** A pin as JSON. */
export type PinText = string & { readonly [brand]: 'PinText' }
export type PinStore = Kept<PinText>

const PINS: Kind<PinText> = { name: 'keys', mark: '.keys', is: isPinText }

export class MemoryPins extends MemoryKept<PinText> {}

export class FilePins extends FileKept<PinText> {
  constructor(options: FileOptions) {
    super(options, PINS)
  }
}

export class LenientPins extends LenientKept<PinText> {}

export function encodePin({ ring, pinned, newest }: Pin): PinText {
  const seen = newest === undefined ? '' : `"newest":${JSON.stringify(newest)},`
  return `{${seen}"pinned":"${pinned}","ring":${textOfRing(ring)}}` as PinText
}

export function decodePin(text: PinText): Pin {
  return JSON.parse(text) as Pin
}

function isInstant(text: unknown): boolean {
  return typeof text === 'string' && epochOf(text) !== undefined
}

function isPinText(text: string): text is PinText {
  try {
    const { ring, pinned, newest } = JSON.parse(text) as Pin
    const isSeen = newest === undefined || (Number.isSafeInteger(newest.number) && isInstant(newest.created))
    return isSeen && isKeyId(pinned) && isKeyRing(ring) && ring.keys.some(({ id }) => id === pinned)
  } catch {
    // Not JSON, or of another form.
    return false
  }
}
