/**
 * The stores of a folder, opened by a command and not by a depot that serves: locked like those, so that there is one
 * process for each folder.
 */

import type { Examine } from '../../depot/read/examine.ts'
import { NodeCache } from '../../depot/read/node-cache.ts'
import { formatOf } from '../../format/format.ts'
import { openExaminer } from '../../job/examine-in-worker.ts'
import { lockFolder } from '../../ledger/folder-lock.ts'
import { settleFormat } from '../../ledger/format.ts'
import { type OpenLedger, openLedger } from '../../ledger/open.ts'
import type { NodeReader } from '../../metaset/node.ts'
import type { Log } from '../../model/world.ts'
import { type DiskStore, openDiskStore } from '../../pool/open-disk.ts'
import { Opened } from '../opened.ts'
import { realClock, realRandom } from '../world.ts'

export interface OpenFolder extends AsyncDisposable {
  readonly folder: string
  readonly store: DiskStore
  readonly ledger: OpenLedger
  readonly reader: NodeReader
  readonly examine: Examine
}

/** Locks a folder, which is made where it is absent. Fails with `data-locked` or `data-unusable`. */
export async function lockedFolder(folder: string): Promise<AsyncDisposable> {
  return await lockFolder(folder, { random: realRandom })
}

/** For a folder that is locked. Fails with `data-newer`, `data-unusable` or `disk-full`, and leaves nothing open then. */
export async function openFolder(folder: string, log: Pick<Log, 'warn'>): Promise<OpenFolder> {
  const opened = new Opened()
  try {
    await settleFormat(folder)
    const store = opened.use(await openDiskStore(folder, { clock: realClock, random: realRandom }))
    const ledger = opened.use(await openLedger(folder, { clock: realClock, log, room: store.room }))
    const examiner = openExaminer(formatOf('semver'))
    opened.defer(async () => await examiner.close())
    return {
      folder,
      store,
      ledger,
      reader: new NodeCache(store.nodes),
      examine: examiner.examine,
      [Symbol.asyncDispose]: async () => await opened[Symbol.asyncDispose](),
    }
  } catch (error) {
    await opened[Symbol.asyncDispose]()
    throw error
  }
}
