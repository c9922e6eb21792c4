/**
 * A key with which a depot signs: Ed25519 (RFC 8032). Its id is `k` and the first 128 bits of the SHA-256 of the 32
 * bytes of the public key, so whoever was told an id knows the key when he sees it.
 *
 * What is signed begins with what it is for, so that no signature over one thing is ever one over another.
 */
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { digestOf, hexOf } from '../digest.ts'
import { failure } from '../errors.ts'
import { clip } from '../name.ts'

declare const brand: unique symbol
export type KeyId = string & { readonly [brand]: 'KeyId' }
/** The 32 bytes of a public key, as base64url. */
export type PublicKey = string & { readonly [brand]: 'PublicKey' }
/** `<key id>:<the 64 bytes of a signature, as base64url>` */
export type Signature = string & { readonly [brand]: 'Signature' }

/** What a signature is for; stands before the bytes that it is over. */
export const CONTEXTS = { generation: 'depot generation v1', statement: 'depot key statement v1' } as const
export type Context = keyof typeof CONTEXTS

const ID = /^k[0-9a-f]{32}$/
const SIGNATURE = /^(k[0-9a-f]{32}):([A-Za-z0-9_-]{86})$/
const PUBLIC_KEY = /^[A-Za-z0-9_-]{43}$/
const ID_DIGITS = 32

export function isKeyId(text: unknown): text is KeyId {
  return typeof text === 'string' && ID.test(text)
}

/** Fails with `bad-request`. */
export function parseKeyId(text: string): KeyId {
  if (isKeyId(text)) return text
  throw failure('bad-request', { reason: `"${clip(text)}" is no id of a key: k and 32 hexadecimal digits` })
}

/** A key has one text alone, so the last one of its letters is looked at, too. */
export function isPublicKey(text: unknown): text is PublicKey {
  return typeof text === 'string' && PUBLIC_KEY.test(text) && isCanonical(text)
}

export function keyIdOf(key: PublicKey): KeyId {
  return `k${hexOf(digestOf(Buffer.from(key, 'base64url'))).slice(0, ID_DIGITS)}` as KeyId
}

export function isSignature(text: string): text is Signature {
  return signatureParts(text) !== undefined
}

/** Undefined for what is no signature. */
export function signatureParts(
  text: string,
): { readonly key: KeyId; readonly bytes: Uint8Array } | undefined {
  const [, key, letters = ''] = SIGNATURE.exec(text) ?? []
  if (key === undefined || !isCanonical(letters)) return undefined
  return { key: key as KeyId, bytes: Buffer.from(letters, 'base64url') }
}

/** What is really signed: the context, a zero byte, and the bytes. */
export function signedBytes(context: Context, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${CONTEXTS[context]}\0`), bytes])
}

/** A public key that checks signatures. */
export function verifierOf(key: PublicKey): KeyObject {
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: key }, format: 'jwk' })
}

/** Takes about a tenth of a millisecond. */
export function isSignedBy(
  verifier: KeyObject,
  context: Context,
  bytes: Uint8Array,
  signature: Uint8Array,
): boolean {
  return verify(null, signedBytes(context, bytes), verifier, signature)
}

/** A key that signs. What it is made of stays where it was made: nothing here can print, store or send it. */
export class SigningKey {
  readonly id: KeyId
  readonly publicKey: PublicKey
  readonly #key: KeyObject

  /** Of a private Ed25519 key. */
  constructor(key: KeyObject) {
    const { x = '' } = createPublicKey(key).export({ format: 'jwk' })
    this.publicKey = x as PublicKey
    this.id = keyIdOf(this.publicKey)
    this.#key = key
  }

  sign(context: Context, bytes: Uint8Array): Signature {
    const signature = sign(null, signedBytes(context, bytes), this.#key)
    return `${this.id}:${signature.toString('base64url')}` as Signature
  }
}

function isCanonical(letters: string): boolean {
  return Buffer.from(letters, 'base64url').toString('base64url') === letters
}
