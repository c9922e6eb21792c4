/**
 * `depot key ...`: the keys that a depot signs its generations with. They are made and kept where the depot runs; what
 * is asked and answered here are public keys alone.
 */
import type { Command } from 'commander'
import type { KeyStanding } from '../../model/keys/ring.ts'
import type { KeysBody } from '../../wire/keys.ts'
import { connect, connectToWrite } from '../connection.ts'
import { doing } from '../doing.ts'
import { type DepotOptions, keyId, withDepot } from '../options.ts'
import { EXIT, type Shell } from '../shell.ts'

export function addKey(parent: Command, shell: Shell): void {
  const family = parent.command('key').helpCommand(false).description('list, rotate and retire signing keys')
  addList(family, shell)
  addRotate(family, shell)
  addRetire(family, shell)
}

function addList(family: Command, shell: Shell): void {
  withDepot(family.command('list'))
    .description('the public keys of a depot, as the node that is asked tells them, the current one last')
    .action(
      doing(shell, async (output, options: DepotOptions) => {
        const { keys } = await (await connect(shell, options)).keys(shell.signal)
        for (const key of keys) await output.say(key, keyText(key))
      }),
    )
}

function addRotate(family: Command, shell: Shell): void {
  withDepot(family.command('rotate'))
    .description('make a new signing key; the old one signs beside it until the overlap ends')
    .action(
      doing(shell, async (output, options: DepotOptions) => {
        const client = await connectToWrite(shell, options)
        const { current } = await client.keys(shell.signal)
        const after = await client.rotateKey(current, shell.signal)
        const until = keyIn(after, current)?.until ?? 'now'
        await output.say(after, `${after.current} signs from now on, ${current} beside it until ${until}`)
      }),
    )
}

function addRetire(family: Command, shell: Shell): void {
  withDepot(family.command('retire'))
    .description('end the overlap of a key now; exits with 4 when it had ended')
    .argument('<id>', 'id of a key that was rotated', keyId)
    .action(
      doing(shell, async (output, options: DepotOptions, id: string) => {
        const client = await connectToWrite(shell, options)
        const before = keyIn(await client.keys(shell.signal), id)
        const after = await client.retireKey(id, shell.signal)
        if (before?.state === 'retired') shell.leave(EXIT.nothingToDo)
        await output.say(after, `${id} signs nothing since ${keyIn(after, id)?.until ?? 'now'}`)
      }),
    )
}

function keyIn({ keys }: KeysBody, id: string): KeyStanding | undefined {
  return keys.find((key) => key.id === id)
}

function keyText({ id, state, created, until }: KeyStanding): string {
  return `${id}  ${state}  since ${created}${until === undefined ? '' : `, until ${until}`}`
}
