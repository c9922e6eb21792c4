/**
 * A network that loses, delays, doubles and reorders what is sent, and whose links break one way or both ways.
 */
import type { World } from './world.ts'

export interface Weather {
  /** Shares of all messages. */
  readonly lost: number
  readonly doubled: number
  readonly late: number
  /** The most that one is late by. */
  readonly lateMs: number
}

export const CALM: Weather = { lost: 0, doubled: 0, late: 0, lateMs: 0 }

export class Network {
  weather: Weather
  readonly #world: World
  readonly #cut = new Set<string>()
  /** Milliseconds more that what goes this way takes. */
  readonly #slow = new Map<string, number>()

  constructor(world: World, weather: Weather) {
    this.#world = world
    this.weather = weather
  }

  cut(from: string, to: string): void {
    this.#cut.add(`${from}>${to}`)
  }

  heal(from: string, to: string): void {
    this.#cut.delete(`${from}>${to}`)
  }

  delay(from: string, to: string, byMs: number): void {
    this.#slow.set(`${from}>${to}`, byMs)
  }

  healAll(): void {
    this.#cut.clear()
    this.#slow.clear()
  }

  isCut(from: string, to: string): boolean {
    return this.#cut.size > 0 && this.#cut.has(`${from}>${to}`)
  }

  send(from: string, to: string, arrive: () => void): void {
    const { lost, doubled } = this.weather
    if (this.isCut(from, to) || (lost > 0 && this.#world.isSo(lost))) return
    const moreMs = this.#slow.size === 0 ? 0 : (this.#slow.get(`${from}>${to}`) ?? 0)
    this.#world.after(moreMs + this.#delayMs(), arrive)
    if (doubled > 0 && this.#world.isSo(doubled)) this.#world.after(this.#delayMs(), arrive)
  }

  #delayMs(): number {
    const { late, lateMs } = this.weather
    if (late > 0 && this.#world.isSo(late)) return this.#world.between(1, lateMs)
    return this.#world.between(0.1, 3)
  }
}
