/**
 * What is claimed for rows is at least what they make the file grow by, whatever their keys and values.
 */
import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { Environment } from '../../src/disk/environment.ts'
import { DiskRoom, type Need } from '../../src/disk/room.ts'
import { slices } from '../../src/model/slice.ts'
import { type Row, Table } from '../../src/pool/disk/table.ts'
import { realClock } from '../support/real-world.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const ROWS = 1_000

/** A room that notes what is asked of it. */
class NotingRoom extends DiskRoom {
  readonly needs: Need[] = []
  override async claim<Result>(need: Need, work: () => Promise<Result>): Promise<Result> {
    this.needs.push(need)
    return await super.claim(need, work)
  }
}

// The longest key that there is belongs to an index of files: a digest and a path.
it.each([
  [1_056, 1],
  [1_056, 20],
  [1_056, 900],
  [1_056, 980],
  [1_056, 4_000],
  [400, 10],
  [64, 1],
  [32, 300],
  [32, 1_990],
  [32, 2_010],
  [32, 20_000],
])('keys of %i bytes with values of %i', async (keyBytes, valueBytes) => {
  await using folder = await temporaryFolder()
  const free = { bytes: 1e12, files: 1e6 }
  const room = new NotingRoom({ clock: realClock, measure: async () => await Promise.resolve(free) })
  const environment = await Environment.open({ folder: folder.path, file: 'a.lmdb', room })
  const store = environment.table('rows')
  const table = new Table({ store, environment, room, slices: () => slices(realClock) })
  try {
    for (let round = 1; round <= 3; round += 1) {
      const rows = Array.from(
        { length: ROWS },
        (): Row => [randomBytes(keyBytes), Buffer.alloc(valueBytes, round)],
      )
      const before = environment.size().fileBytes
      await table.put(rows, 'upload')
      expect(environment.size().fileBytes - before).toBeLessThanOrEqual(room.needs.at(-1)?.bytes ?? 0)
    }
  } finally {
    await environment.close()
  }
})
