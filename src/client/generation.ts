/**
 * A generation as an answer tells it, believed only when its id is really that of its record.
 */
import { type Generation, type Gid, gidOf } from '../model/generation.ts'
import type { Answer } from '../wire/caller-answer.ts'
import { GenerationBody, GenerationsBody } from '../wire/schemas.ts'

/** Fails with `answer-invalid`, also when it is another one than was asked for. */
export async function readGeneration(answer: Answer, asked?: Gid): Promise<Generation> {
  const generation = verified(await answer.json(GenerationBody), answer)
  if (asked !== undefined && generation.gid !== asked) throw answer.invalid(`${generation.gid} for ${asked}`)
  return generation
}

export interface GenerationsPage {
  readonly items: readonly Generation[]
  readonly next?: string
}

/** Fails with `answer-invalid`. */
export async function readGenerations(answer: Answer): Promise<GenerationsPage> {
  const { generations, next } = await answer.json(GenerationsBody)
  // The pages after the first are pinned and leave out the state. What a log names was active then; whoever wants to
  // know what it is now asks for the one generation.
  const items = generations.map(({ state = 'active', signatures = [], ...fixed }) =>
    verified({ ...fixed, state, signatures }, answer),
  )
  return { items, ...(next === undefined ? {} : { next }) }
}

function verified(generation: Generation, answer: Answer): Generation {
  if (gidOf(generation.record) === generation.gid) return generation
  throw answer.invalid(`a record that is not the one of ${generation.gid}`)
}
