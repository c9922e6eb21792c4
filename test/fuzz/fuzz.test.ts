/** Ten seconds of random requests; `npm run fuzz -- --minutes N` is the long form. */
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { served } from '../story/served.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { FUZZ_FLAGS, fuzz } from './fuzz.ts'

it('the depot survives whatever is sent to it, and answers all of it', async () => {
  await using folder = await temporaryFolder()
  await using depot = await served({ data: join(folder.path, 'data'), flags: FUZZ_FLAGS })
  const seed = Math.floor(Math.random() * 1_000_000)
  const { requests, statuses } = await fuzz(depot, { seed, milliseconds: 10_000 })
  expect(requests).toBeGreaterThan(500)
  // It has been let in, and has been refused for many reasons.
  for (const status of [200, 201, 204, 400, 401, 404, 405])
    expect(statuses.get(status) ?? 0, `${status}`).toBeGreaterThan(0)
  expect((await depot.end('SIGTERM')).code).toBe(0)
})
