/** Signatures: the same bytes for ever, over nothing else than what they are for. */
import { describe, expect, it } from 'vitest'
import { decodeRecord, encodeRecord, gidOf } from '../../../src/model/generation.ts'
import {
  isKeyId,
  isPublicKey,
  isSignature,
  isSignedBy,
  keyIdOf,
  type PublicKey,
  parseKeyId,
  signatureParts,
  verifierOf,
} from '../../../src/model/keys/key.ts'
import { encodeStatement, type Statement } from '../../../src/model/keys/ring.ts'
import { fixture } from '../fixture.ts'
import { keyOf } from './some-keys.ts'

interface Vectors {
  readonly keys: readonly { readonly seed: string; readonly publicKey: PublicKey; readonly id: string }[]
  readonly generation: {
    readonly record: string
    readonly gid: string
    readonly signatures: readonly string[]
  }
  readonly statements: readonly { readonly bytes: string; readonly signatures: readonly string[] }[]
}

const { keys, generation, statements } = fixture<Vectors>('signatures.json')
const signing = keys.map(({ seed }) => keyOf(seed))
const bytes = Buffer.from(generation.record)

describe('the golden signatures', () => {
  it('have the keys that RFC 8032 says, and their ids', () => {
    expect(signing.map(({ id, publicKey }) => ({ id, publicKey }))).toEqual(
      keys.map(({ id, publicKey }) => ({ id, publicKey })),
    )
    for (const { id, publicKey } of keys)
      expect([isPublicKey(publicKey), keyIdOf(publicKey)]).toEqual([true, id])
  })

  it('are made of a record', () => {
    const record = decodeRecord(bytes)
    expect(encodeRecord(record)).toEqual(bytes)
    expect(gidOf(record)).toBe(generation.gid)
    expect(signing.map((key) => key.sign('generation', bytes))).toEqual(generation.signatures)
  })

  it.each(statements)('are made of the statement $bytes', ({ bytes: text, signatures }) => {
    const encoded = encodeStatement(JSON.parse(text) as Statement)
    expect(encoded.toString()).toBe(text)
    for (const signature of signatures) {
      const key = signing.find(({ id }) => signature.startsWith(id))
      expect(key?.sign('statement', encoded)).toBe(signature)
    }
  })

  it('fit, and fit nothing else', () => {
    for (const [at, text] of generation.signatures.entries()) {
      const { key, bytes: signature } = signatureParts(text)!
      const [own, other] = [verifierOf(keys[at]!.publicKey), verifierOf(keys[1 - at]!.publicKey)]
      expect(key).toBe(keys[at]!.id)
      expect(isSignedBy(own, 'generation', bytes, signature)).toBe(true)
      expect(isSignedBy(own, 'statement', bytes, signature)).toBe(false)
      expect(isSignedBy(other, 'generation', bytes, signature)).toBe(false)
      expect(isSignedBy(own, 'generation', Buffer.concat([bytes, Buffer.of(10)]), signature)).toBe(false)
    }
  })
})

describe('a text', () => {
  const [signature = ''] = generation.signatures
  const letters = signature.slice(34)

  it.each([
    ['as it is', signature, true],
    ['without a key', letters, false],
    ['of another key', signature.replace('k', 'x'), false],
    ['with one letter less', signature.slice(0, -1), false],
    ['padded', `${signature}==`, false],
    ['with a letter that says the same', `${signature.slice(0, -1)}x`, false],
    ['in two lines', `${signature}\n`, false],
  ])('is a signature %s: %s', (_, text, isOne) => {
    expect(isSignature(text)).toBe(isOne)
  })

  it('is the id of a key, or refused', () => {
    expect(parseKeyId(keys[0]!.id)).toBe(keys[0]!.id)
    for (const text of ['', 'k', keys[0]!.id.toUpperCase(), `${keys[0]!.id}0`, keys[0]!.id.slice(1)]) {
      expect(isKeyId(text)).toBe(false)
      expect(() => parseKeyId(text)).toThrow(expect.objectContaining({ code: 'bad-request' }))
    }
  })
})

it('a key prints nothing of what it signs with', () => {
  const key = keyOf('secret')
  expect(JSON.parse(JSON.stringify(key))).toEqual({ id: key.id, publicKey: key.publicKey })
})
