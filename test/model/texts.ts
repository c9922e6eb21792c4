/** Any text that is well-formed Unicode. fast-check's own unit `binary` takes seconds to set up. */
import fc from 'fast-check'

export const characters: fc.Arbitrary<string> = fc
  .oneof(
    fc.integer({ min: 0, max: 0x7f }),
    fc.integer({ min: 0x80, max: 0xd7ff }),
    fc.integer({ min: 0xe000, max: 0xffff }),
    fc.integer({ min: 0x10000, max: 0x10ffff }),
  )
  .map((point) => String.fromCodePoint(point))

export const texts: fc.Arbitrary<string> = fc.string({ unit: characters })
