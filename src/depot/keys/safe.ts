/**
 * Where the private keys of a depot are kept. What leaves a safe signs, and tells nothing of what it signs with.
 */
import type { KeyId, SigningKey } from '../../model/keys/key.ts'

/**
 * S1. What `make` has returned is durable.
 * S2. A `make` that fails or dies half-way leaves the whole key or nothing of it.
 * S3. After `drop` the key can be had no more, here or by anybody who gets the disk later as far as that is up to us.
 */
export interface KeySafe {
  /** A new key. */
  make(): Promise<SigningKey>
  /** Undefined when it is not here. Fails with `data-unusable` when others could have read it. */
  open(id: KeyId): Promise<SigningKey | undefined>
  list(): Promise<readonly KeyId[]>
  drop(id: KeyId): Promise<void>
}
