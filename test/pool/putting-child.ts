/**
 * A process that puts blobs and nodes and tells the digest of each when it is durable, until it is killed.
 */
import { openDiskStore } from '../../src/pool/open-disk.ts'
import { realClock, realRandom } from '../support/real-world.ts'
import { someBytes } from './bytes.ts'
import { nodeOf, writeNodes } from './texts.ts'

const [folder = '', seed = ''] = process.argv.slice(2)
const store = await openDiskStore(folder, { clock: realClock, random: realRandom })

async function putFrom(lane: number): Promise<never> {
  for (let at = 0; ; at += 1) {
    const { digest } = await store.pool.put(someBytes(lane === 0 ? 300 : 200_000, `${seed} ${lane} ${at}`))
    process.stdout.write(`${digest}\n`)
    const node = nodeOf(`${seed} ${lane} ${at}\n`.repeat(500))
    await writeNodes(store.nodes, [node])
    process.stdout.write(`${node.digest}\n`)
  }
}

await Promise.all([putFrom(0), putFrom(1), putFrom(0.5)])
