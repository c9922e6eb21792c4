/**
 * Ids of generations for tests that never look inside of one.
 */
import type { Gid } from '../../../src/model/generation.ts'

export function gidOf(number: number, more = ''): Gid {
  return `g${number}.abcdefghijkl.${(more + number.toString(16)).padStart(16, '0')}` as Gid
}
