/** What the gauges tell of the process. */
import { setTimeout } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { watchProcess } from '../../src/app/gauges.ts'
import { Metrics } from '../../src/http/metrics.ts'
import { engine } from '../depot/an-engine.ts'

const BLOCK_MS = 200

it('the delay of the event loop is how long it was held, and is told once', async () => {
  await using at = await engine()
  const metrics = new Metrics()
  const sizes = (): never => ({ usedBytes: 0, fileBytes: 0 }) as never
  const watching = watchProcess(metrics, { depot: at.depot, store: { sizes }, openingSeconds: 0 })
  const seconds = (): number =>
    Number(/^depot_event_loop_delay_p99_seconds (\S+)$/m.exec(metrics.text())?.[1])
  await setTimeout(20)
  seconds()
  // The look after a reset is not counted.
  await setTimeout(20)
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BLOCK_MS)
  await setTimeout(20)
  const held = seconds()
  expect(held).toBeGreaterThan(0.9 * (BLOCK_MS / 1000))
  await setTimeout(20)
  expect(seconds()).toBeLessThan(held)
  watching[Symbol.dispose]()
})
