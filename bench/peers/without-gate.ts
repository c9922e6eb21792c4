/**
 * Loaded before `depot serve` (`--import`): the same program with no gate before its routes, and with a `Depot-Node` that
 * is made once. What is left is what a read costs on a node that stands alone.
 */
import { Gate } from '../../src/http/gate/gate.ts'
import { ReplicaNode } from '../../src/replica/replica-node.ts'

const label = 'bench;role=replica;state=fresh;age=0.1'
Gate.prototype.guard = () => undefined
ReplicaNode.prototype.label = () => label
