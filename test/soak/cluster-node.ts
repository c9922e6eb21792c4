/**
 * One node of a cluster as a process of its own, at one address however often it is started, and what can be done to it.
 * Each of these says so in the history.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Exit, type Served, type ServeOptions, served } from '../story/served.ts'
import type { Done, Facts } from './facts.ts'

const READY_WITHIN_MS = 60_000
const LOOK_MS = 25

export class ClusterNode implements AsyncDisposable {
  readonly id: string
  /** Ends of this node that nobody asked for. */
  readonly deaths: string[] = []
  readonly #options: ServeOptions
  readonly #facts: Facts
  #served: Served | undefined
  #address: string | undefined
  #last: Served | undefined
  #isExpected = false
  #logs = ''

  constructor(id: string, options: ServeOptions, facts: Facts) {
    this.id = id
    this.#options = options
    this.#facts = facts
  }

  get url(): string {
    return this.#running().url
  }

  get pid(): number | undefined {
    return this.#served?.process.pid
  }

  get client(): Served['client'] {
    return this.#running().client
  }

  get token(): string {
    return this.#running().token
  }

  /** All it has logged, in all its lives. */
  get log(): string {
    return this.#logs + (this.#served?.log() ?? '')
  }

  async start(): Promise<void> {
    const { flags = [] } = this.#options
    const listen = this.#address === undefined ? [] : ['--listen', this.#address]
    const node = await served({ ...this.#options, flags: [...flags, ...listen] })
    this.#served = node
    this.#address = new URL(node.url).host
    this.#isExpected = false
    void node.ended.then(({ code, signal }) => {
      if (!this.#isExpected) this.deaths.push(`${this.id} ended with ${code ?? signal}`)
    })
  }

  /** Whether it says that it is ready, in this time. */
  async ready(withinMs: number = READY_WITHIN_MS): Promise<boolean> {
    for (const until = performance.now() + withinMs; performance.now() < until; await sleep(LOOK_MS)) {
      const signal = AbortSignal.timeout(5_000)
      const answer = await fetch(`${this.url}/readyz`, { signal }).catch(() => undefined)
      await answer?.text()
      if (answer?.status === 200) return true
    }
    return false
  }

  /** kill -9, and a start some time later. */
  async killed(downMs: number): Promise<void> {
    const done = [
      this.#facts.begin('kill', this.id),
      this.#facts.gone(this.id),
      ...(this.id === 'origin' ? [this.#facts.begin('origin-down', this.id)] : []),
    ]
    await this.#end('SIGKILL')
    await sleep(downMs)
    await this.#comeBack(done)
  }

  /** SIGTERM, the drain, and a start. */
  async rolled(): Promise<Exit> {
    const roll = this.#facts.begin('roll', this.id)
    const gone = this.#facts.gone(this.id)
    const exit = await this.#end('SIGTERM')
    await this.#comeBack([roll, gone])
    return exit
  }

  /** Stands still, and goes on as if nothing had been. */
  async stopped(ms: number): Promise<void> {
    const done = [this.#facts.begin('stop', this.id), this.#facts.gone(this.id)]
    const { process } = this.#running()
    process.kill('SIGSTOP')
    await sleep(ms)
    process.kill('SIGCONT')
    for (const one of done) one()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#served !== undefined) await this.#end('SIGKILL')
  }

  async #end(signal: NodeJS.Signals): Promise<Exit> {
    this.#isExpected = true
    const node = this.#running()
    if (node.process.exitCode === null && node.process.signalCode === null) node.process.kill('SIGCONT')
    const exit = await node.end(signal)
    this.#logs += exit.log
    this.#served = undefined
    this.#last = node
    return exit
  }

  async #comeBack(done: readonly Done[]): Promise<void> {
    await this.start()
    if (!(await this.ready())) this.deaths.push(`${this.id} was not ready again in time`)
    for (const one of done) one()
  }

  #running(): Served {
    const node = this.#served ?? this.#last
    if (node === undefined) throw new Error(`${this.id} was never started`)
    return node
  }
}
