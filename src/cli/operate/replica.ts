/**
 * `depot replica ...`: the nodes that follow an origin, and how each of them is. A replica has its origin answer.
 */
import type { Command } from 'commander'
import { type Gid, partsOf } from '../../model/generation.ts'
import { LIMITS } from '../../model/limits.ts'
import type { NodeBody, NodesBody } from '../../wire/replication.ts'
import { connectToWrite } from '../connection.ts'
import { doing } from '../doing.ts'
import { type DepotOptions, withDepot } from '../options.ts'
import { EXIT, type Shell } from '../shell.ts'
import { countText } from '../wording.ts'

/** What the origin tells of a node, and what follows from it. */
interface NodeStatus extends NodeBody {
  /** Generations between its head and that of the origin; null where it has none, or one of another lineage. */
  readonly behind: number | null
  /** Nothing was heard of it for a lease. */
  readonly isSilent: boolean
}

const HEADINGS = ['NODE', 'ROLE', 'STATE', 'GENERATION', 'BEHIND', 'HEARD', 'COPYING', 'URL']
const NOTHING = '-'

export function addReplica(parent: Command, shell: Shell): void {
  const family = parent.command('replica').helpCommand(false).description('look after replicas')
  withDepot(family.command('status'))
    .description('every node that follows the origin; exits with 10 when one is silent, or not fresh')
    .action(
      doing(shell, async (output, options: DepotOptions) => {
        const client = await connectToWrite(shell, options)
        const { head, nodes: told } = await client.nodes(shell.signal)
        const nodes = told.map((node) => statusOf(node, head))
        if (!nodes.every(isWell)) shell.leave(EXIT.differences)
        await output.say(
          { head, nodes },
          [`head ${head}, ${countText(nodes.length, 'node')}`, ...table(nodes, head)].join('\n'),
        )
      }),
    )
}

function statusOf(node: NodeBody, head: NodesBody['head']): NodeStatus {
  const [own, newest] = [node.head === null ? undefined : partsOf(node.head), partsOf(head)]
  const behind = own?.lineage === newest.lineage ? Math.max(0, newest.number - own.number) : null
  return { ...node, behind, isSilent: node.seenMsAgo >= LIMITS.leaseMs }
}

/** A node that is fresh may have a head that the origin has not heard of yet: it tells of it within a second. */
function isWell({ state, isSilent, isContested }: NodeStatus): boolean {
  return state === 'fresh' && !isSilent && isContested !== true
}

/** Nothing for no nodes. */
function table(nodes: readonly NodeStatus[], head: Gid): readonly string[] {
  if (nodes.length === 0) return []
  const rows = [HEADINGS, ...nodes.map((node) => cellsOf(node, head))]
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

function cellsOf(node: NodeStatus, head: Gid): readonly string[] {
  const { id, role, progress, publicUrl, seenMsAgo, lagSeconds = 0 } = node
  const behind = node.behind === null ? NOTHING : String(node.behind)
  return [
    id,
    role,
    stateText(node),
    node.head === null ? NOTHING : gidText(node.head, head),
    lagSeconds > 0 ? `${behind}, ${timeText(lagSeconds * 1000)}` : behind,
    `${timeText(seenMsAgo)} ago`,
    progress === undefined
      ? NOTHING
      : `${gidText(progress.gid, head)} ${progress.done}/${progress.total ?? '?'}`,
    publicUrl ?? NOTHING,
  ]
}

function stateText({ state, refused, isSilent, isContested }: NodeStatus): string {
  const more = [refused, isSilent ? 'silent' : undefined, isContested === true ? 'id taken twice' : undefined]
  return [state, ...more.filter((word) => word !== undefined)].join(', ')
}

/** Its number says it all, but in another lineage. */
function gidText(gid: Gid, head: Gid): string {
  const { number, lineage } = partsOf(gid)
  return lineage === partsOf(head).lineage ? `g${number}` : gid
}

/** `0.4 s`, `12 s`, `3 min` */
function timeText(ms: number): string {
  const seconds = ms / 1000
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`
  return seconds < 119.5 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`
}
