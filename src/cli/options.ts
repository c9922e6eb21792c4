/**
 * The options that many commands understand alike, and how commander reads the values behind them.
 */
import { type Command, InvalidArgumentError } from 'commander'
import { isKeyId, type KeyId } from '../model/keys/key.ts'

/** Every command has `--json`. */
export interface JsonOption {
  readonly json?: boolean
}

/** Of every command that talks to a depot. */
export interface DepotOptions extends JsonOption {
  readonly depot?: string
  readonly data?: string
  readonly acceptLineage?: string
  readonly key?: KeyId
  readonly acceptKey?: KeyId
}

/** Of every command that changes something: commits at once, or adds to a stage. */
export interface ChangeOptions extends DepotOptions {
  readonly message?: string
  readonly stage?: string
}

export function withJson(command: Command): Command {
  return command.option('--json', 'JSON on stdout, for programs')
}

export function withDepot(command: Command): Command {
  return withJson(command)
    .option('--depot <url>', 'address of the depot (DEPOT_URL)')
    .option('--data <dir>', 'data folder of a depot on this machine, for its admin.token (DEPOT_DATA)')
    .option('--accept-lineage <id>', 'go on in this lineage although it lost what was seen of another one')
    .option('--key <id>', "key that must be the depot's, or lead to it (DEPOT_KEY)", keyId)
    .option('--accept-key <id>', 'go on with this key although no key that was seen leads to it', keyId)
}

export function withMessage(command: Command): Command {
  return command.option('-m, --message <text>', 'what the log will say about this')
}

export function withStage(command: Command): Command {
  return withMessage(command).option('--stage <id>', 'add to this stage and do not commit')
}

/** Reads the id of a key. */
export function keyId(text: string): KeyId {
  if (isKeyId(text)) return text
  throw new InvalidArgumentError('It must be the id of a key, as depot key list prints it.')
}

/** Reads a whole number. */
export function whole(least: number, most: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
    if (!(number >= least && number <= most))
      throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`)
    return number
  }
}

/** Collects an option that may come more than once. */
export function collect(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), text]
}
