/**
 * One line of the table: a question, the answer, and what it should at least be.
 */
export interface Row {
  readonly question: string
  readonly answer: string
  readonly goal: string
  readonly met: boolean
}

export function row(question: string, answer: string, goal: string, met: boolean): Row {
  return { question, answer, goal, met }
}

export function ratioText(ratio: { readonly rate: number; readonly cpu: number }): string {
  return `${ratio.rate.toFixed(2)} by rate, ${ratio.cpu.toFixed(2)} by CPU`
}
