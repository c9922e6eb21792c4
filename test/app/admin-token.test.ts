/**
 * The admin token of a new depot: whatever moment its first start ends at, the next one has a token that is good.
 */
import { chmod, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ensureAdminToken, hasAdminToken } from '../../src/app/admin-token.ts'
import { Access } from '../../src/depot/access.ts'
import { type OpenLedger } from '../../src/ledger/open.ts'
import { CuttableFiles, PowerCut } from '../disk/power.ts'
import { openedLedger } from '../ledger/a-ledger.ts'
import { realClock, realRandom } from '../support/real-world.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

function accessOf(ledger: OpenLedger): Access {
  return new Access(ledger.tokens, realClock, realRandom)
}

it('is good after a start that was cut short at any step', async () => {
  for (let step = 1, ended = false; !ended; step += 1) {
    await using folder = await temporaryFolder()
    await using ledger = await openedLedger(folder.path)
    const path = join(folder.path, 'admin.token')
    const files = new CuttableFiles()
    files.cutBefore(step)
    ended = await ensureAdminToken(folder.path, accessOf(ledger), files).then(
      () => true,
      (error: unknown) => {
        if (!(error instanceof PowerCut)) throw error
        return false
      },
    )
    const left = await readFile(path, 'utf8').catch(() => undefined)
    if (left !== undefined) expect(left).toMatch(/^depot_[\w-]{43}\n$/)

    const access = accessOf(ledger)
    await ensureAdminToken(folder.path, access)
    const secret = (await readFile(path, 'utf8')).trim()
    if (left !== undefined) expect(secret).toBe(left.trim())
    expect(access.actorOf(secret)?.scopes).toEqual(['admin'])
    expect(access.list().length).toBe(1)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  }
})

it('is not taken from just anything that lies there', async () => {
  await using folder = await temporaryFolder()
  await using ledger = await openedLedger(folder.path)
  const path = join(folder.path, 'admin.token')
  expect(await hasAdminToken(folder.path)).toBe(false)
  const refusal = { code: 'data-unusable' }
  const secret = `depot_${'a'.repeat(43)}\n`
  for (const text of ['', 'depot_', secret.slice(0, -2)]) {
    await writeFile(path, text, { mode: 0o600 })
    await expect(ensureAdminToken(folder.path, accessOf(ledger))).rejects.toMatchObject(refusal)
  }
  await writeFile(path, secret)
  await chmod(path, 0o640)
  await expect(ensureAdminToken(folder.path, accessOf(ledger))).rejects.toMatchObject(refusal)
  await using other = await temporaryFolder()
  await symlink(path, join(other.path, 'admin.token'))
  await expect(ensureAdminToken(other.path, accessOf(ledger))).rejects.toMatchObject(refusal)
  expect(await hasAdminToken(other.path)).toBe(true)
})
