/**
 * The CRC-32 of bytes that stand one after the other, from the CRC-32 of each part.
 *
 * Inner nodes carry the CRC-32 of everything below, so that the trailer of a catalog is known before its first byte
 * is sent (DESIGN §3, "A leaf's bytes are the catalog's bytes"). As in zlib's `crc32_combine`: appending n bytes
 * multiplies the CRC of what came before by x^8n modulo the polynomial of the CRC. The powers for every value of
 * every byte of n are laid up once, so a combination costs one multiplication for each byte of n that is not zero.
 */

const POLYNOMIAL = 0xedb88320
/** The polynomials 1 and x^8; the highest coefficient is the lowest bit. */
const ONE = 1 << 31
const X8 = 1 << 23
/** A length is a safe integer: seven bytes. */
const LENGTH_BYTES = 7

const POWERS = powers()

/** The CRC-32 of A followed by B, from the CRC-32 of both and the length of B. */
export function combineCrc32(a: number, b: number, lengthOfB: number): number {
  let shifted = a
  let rest = lengthOfB
  for (let at = 0; rest !== 0; at += 256) {
    const low = rest % 256
    if (low !== 0) shifted = multiply(POWERS[at + low] ?? ONE, shifted)
    rest = (rest - low) / 256
  }
  return (shifted ^ b) >>> 0
}

/** a * b modulo the polynomial of the CRC. */
function multiply(a: number, b: number): number {
  let product = 0
  let shifted = b
  for (let left = a; left !== 0; left <<= 1) {
    product ^= shifted & (left >> 31)
    shifted = (shifted >>> 1) ^ (POLYNOMIAL & -(shifted & 1))
  }
  return product
}

/** At 256 * i + j stands x^(8 * j * 256^i). */
function powers(): Int32Array {
  const table = new Int32Array(LENGTH_BYTES * 256)
  let unit = X8
  for (let row = 0; row < LENGTH_BYTES; row += 1) {
    let power = ONE
    for (let at = 0; at < 256; at += 1) {
      table[row * 256 + at] = power
      power = multiply(power, unit)
    }
    unit = power
  }
  return table
}
