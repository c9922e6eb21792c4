/** A depot that is killed under publish load, again and again: the soak (`npm run soak`) in short. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { crashRounds, type RoundReport } from './crash-rounds.ts'

describe('kill -9 under publish load, ten times on one folder', () => {
  it('loses no acknowledged commit, leaves no half generation, and serves again within two seconds', async () => {
    await using folder = await temporaryFolder()
    const reports: RoundReport[] = []
    await crashRounds({
      data: join(folder.path, 'data'),
      rounds: 10,
      report: (round) => reports.push(round),
    })
    expect(reports.at(-1)?.acknowledged).toBeGreaterThanOrEqual(10)
    const started = reports.map(({ startedMs }) => startedMs).sort((a, b) => a - b)
    // The one in the middle, for other tests have their share of the machine.
    expect(started[4]).toBeLessThan(2_000)
  }, 120_000)
})
