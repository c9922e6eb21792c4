/**
 * `depot scrub`: reads every blob of the depot again and reports what is damaged.
 */
import type { Command } from 'commander'
import { connectToWrite } from '../connection.ts'
import { doing } from '../doing.ts'
import { type DepotOptions, withDepot } from '../options.ts'
import { EXIT, type Shell } from '../shell.ts'
import { countText, sizeText } from '../wording.ts'

/** How much there is to check is not known, so this is no bar. */
const CLEAR_LINE = '\r\u001b[K'

export function addScrub(parent: Command, shell: Shell): void {
  withDepot(parent.command('scrub'))
    .description('check every stored byte against its digest; exits with 1 when something is damaged')
    .action(
      doing(shell, async (output, options: DepotOptions) => {
        const client = await connectToWrite(shell, options)
        const isSeen = shell.stderr.isTTY === true
        for await (const line of client.scrub(shell.signal)) {
          if (isSeen) shell.stderr.write(CLEAR_LINE)
          switch (line.kind) {
            case 'progress':
              if (output.json) await output.sayNow(line, '')
              else if (isSeen) shell.stderr.write(checkedText(line))
              break
            case 'damaged':
              shell.leave(EXIT.error)
              await output.sayNow(line, `damaged: ${line.digest}: ${line.reason}`)
              break
            case 'done':
              if (line.damaged > 0) shell.leave(EXIT.error)
              await output.say(line, `${checkedText(line)}, ${line.damaged} damaged`)
          }
        }
      }),
    )
}

function checkedText({ checked, bytes }: { readonly checked: number; readonly bytes: number }): string {
  return `${countText(checked, 'blob')} checked, ${sizeText(bytes)}`
}
