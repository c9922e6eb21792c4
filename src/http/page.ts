/**
 * Lists come in pages; the token of the next page is a pinned URL, so that a listing never mixes (PROTOCOL §3).
 */
import Type, { type TSchema } from 'typebox'
import { LIMITS } from '../model/limits.ts'

export interface Page {
  readonly limit?: number
  readonly after?: string
}

export const PageQuery: TSchema = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: LIMITS.listPage, default: LIMITS.listPage })),
  after: Type.Optional(
    Type.String({ maxLength: LIMITS.versionBytes, description: 'as the link to the next page says' }),
  ),
})

export function pageOf(query: Page): { readonly limit: number; readonly after: string | undefined } {
  return { limit: query.limit ?? LIMITS.listPage, after: query.after }
}
