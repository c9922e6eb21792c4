/**
 * `depot token ...`: who may do what. A token is shown once, when it is made.
 */
import type { Command } from 'commander'
import { instantOf, parseInstant } from '../../model/instant.ts'
import { parseScopes } from '../../model/scope.ts'
import type { TokenBody } from '../../wire/bodies.ts'
import { connectToWrite } from '../connection.ts'
import { doing } from '../doing.ts'
import { collect, type DepotOptions, whole, withDepot } from '../options.ts'
import { type Shell, UsageError } from '../shell.ts'
import { sizeText } from '../wording.ts'

interface CreateOptions extends DepotOptions {
  readonly label: string
  readonly scope: readonly string[]
  readonly expires?: string
  readonly quota?: number
}

const UNITS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 }

export function addToken(parent: Command, shell: Shell): void {
  const family = parent.command('token').helpCommand(false).description('make, list and revoke tokens')
  addCreate(family, shell)
  addList(family, shell)
  addRevoke(family, shell)
}

function addCreate(family: Command, shell: Shell): void {
  withDepot(family.command('create'))
    .description('make a token and print it; it is never shown again')
    .requiredOption('--label <text>', 'who or what it is for')
    .requiredOption(
      '--scope <scope>',
      'admin, read, publish:<channel> or promote:<channel>; may be repeated',
      collect,
    )
    .option('--expires <when>', 'a time, or how long from now, like 12h or 90d')
    .option('--quota <bytes>', 'bytes that it may upload in all', whole(0))
    .action(
      doing(shell, async (output, options: CreateOptions) => {
        const { label, expires, quota } = options
        const request = {
          label,
          scopes: parseScopes(options.scope),
          ...(expires === undefined ? {} : { expires: instantOf(comingOf(expires, shell.clock.now())) }),
          ...(quota === undefined ? {} : { quotaBytes: quota }),
        }
        const client = await connectToWrite(shell, options)
        const token = await client.createToken(request, shell.signal)
        if (!output.json) output.note(`made ${tokenText(token)}`)
        await output.say(token, token.token)
      }),
    )
}

function addList(family: Command, shell: Shell): void {
  withDepot(family.command('list'))
    .description('all tokens, revoked ones too, without their secrets')
    .action(
      doing(shell, async (output, options: DepotOptions) => {
        const client = await connectToWrite(shell, options)
        for (const token of await client.tokens(shell.signal)) await output.say(token, tokenText(token))
      }),
    )
}

function addRevoke(family: Command, shell: Shell): void {
  withDepot(family.command('revoke'))
    .description('let a token do nothing from now on')
    .argument('<id>', 'id of the token')
    .action(
      doing(shell, async (output, options: DepotOptions, id: string) => {
        const client = await connectToWrite(shell, options)
        await client.revokeToken(id, shell.signal)
        await output.say({ id, revoked: true }, `token ${id} is revoked`)
      }),
    )
}

/** A token that could do nothing helps nobody. */
function comingOf(text: string, nowMs: number): number {
  const moment = momentOf(text, nowMs)
  if (moment > nowMs) return moment
  throw new UsageError(`"${text}" is past; a token that expires then could do nothing`)
}

/** A time, or a number of minutes, hours or days from now. */
function momentOf(text: string, nowMs: number): number {
  const [, count, unit = ''] = /^(\d{1,6})([mhd])$/.exec(text) ?? []
  if (count !== undefined) return nowMs + Number(count) * (UNITS[unit] ?? 0)
  try {
    return parseInstant(text)
  } catch {
    throw new UsageError(`"${text}" is no time; write 2027-01-31T00:00:00Z, or 12h or 90d from now`)
  }
}

function tokenText({ id, label, scopes, expires, revoked, quotaBytes, usedBytes }: TokenBody): string {
  const quota = quotaBytes === undefined ? '' : ` of ${sizeText(quotaBytes)}`
  const until = expires === undefined ? '' : `, until ${expires}`
  const state = revoked === undefined ? until : `, revoked ${revoked}`
  return `${id}  ${label}  ${scopes.join(' ')}  ${sizeText(usedBytes)}${quota} used${state}`
}
