/** Private keys on the disk: whole or not at all, for their owner alone, and gone when they are dropped. */
import { chmod, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { expect, it } from 'vitest'
import { DiskKeySafe } from '../../src/app/key-safe.ts'
import { FORGETTING, ForgetfulFiles, PowerCut } from '../ledger/forgetful-files.ts'
import { realRandom } from '../support/real-world.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const unusable: unknown = expect.objectContaining({ code: 'data-unusable' })

it('a key that was made is the same in the next process, and dropped for good', async () => {
  await using folder = await temporaryFolder()
  const safe = new DiskKeySafe({ folder: folder.path, random: realRandom })
  expect(await safe.list()).toEqual([])
  const keys = [await safe.make(), await safe.make()]
  const later = new DiskKeySafe({ folder: folder.path, random: realRandom })
  expect(await later.list()).toEqual(keys.map(({ id }) => id).sort())
  for (const key of keys) {
    const bytes = Buffer.from('x')
    expect((await later.open(key.id))?.sign('generation', bytes)).toBe(key.sign('generation', bytes))
    expect((await stat(join(folder.path, 'keys', `${key.id}.pem`))).mode & 0o777).toBe(0o600)
  }
  expect((await stat(join(folder.path, 'keys'))).mode & 0o777).toBe(0o700)
  await later.drop(keys[0]!.id)
  await later.drop(keys[0]!.id)
  expect(await later.open(keys[0]!.id)).toBeUndefined()
  expect(await later.list()).toEqual([keys[1]!.id])
})

it('a key is whole or not there, wherever the power is cut while it is made', async () => {
  for (const forgets of FORGETTING)
    for (let steps = 0, isMade = false; !isMade; steps += 1) {
      await using folder = await temporaryFolder()
      const files = new ForgetfulFiles(steps)
      isMade = await new DiskKeySafe({ folder: folder.path, random: realRandom, files }).make().then(
        () => true,
        (error: unknown) => {
          expect(error).toBeInstanceOf(PowerCut)
          return false
        },
      )
      await files.forget(forgets)
      const safe = new DiskKeySafe({ folder: folder.path, random: realRandom })
      const ids = await safe.list()
      if (isMade) expect(ids.length).toBe(1)
      for (const id of ids) expect((await safe.open(id))?.id).toBe(id)
      await safe.make()
      expect((await safe.list()).length).toBe(ids.length + 1)
      // Nothing that holds a key and is none stays.
      const left = await readdir(join(folder.path, 'keys'))
      expect(left.every((name) => name.endsWith('.pem'))).toBe(true)
    }
})

it('a key that others could have read, or that is none, is not taken, and no refusal tells of it', async () => {
  await using folder = await temporaryFolder()
  const safe = new DiskKeySafe({ folder: folder.path, random: realRandom })
  const [key, other] = [await safe.make(), await safe.make()]
  const path = join(folder.path, 'keys', `${key.id}.pem`)
  const pem = await readFile(path, 'utf8')
  const refusal = async (): Promise<string> => {
    const error: unknown = await safe.open(key.id).catch((caught: unknown) => caught)
    expect(error).toEqual(unusable)
    return inspect(error, { depth: 9 })
  }
  const [, secret = ''] = pem.split('\n')
  for (const mode of [0o640, 0o604, 0o620, 0o602]) {
    await chmod(path, mode)
    expect(await refusal()).not.toContain(secret)
  }
  await chmod(path, 0o600)
  for (const text of ['', 'nonsense', pem.slice(0, 40), pem.replace(secret, secret.slice(4))]) {
    await writeFile(path, text)
    expect(await refusal()).not.toContain(secret.slice(4))
  }
  await writeFile(path, await readFile(join(folder.path, 'keys', `${other.id}.pem`)))
  await refusal()
  await using elsewhere = await temporaryFolder()
  await new DiskKeySafe({ folder: elsewhere.path, random: realRandom }).make()
  await symlink(path, join(elsewhere.path, 'keys', `${key.id}.pem`))
  await expect(new DiskKeySafe({ folder: elsewhere.path, random: realRandom }).open(key.id)).rejects.toEqual(
    unusable,
  )
})
