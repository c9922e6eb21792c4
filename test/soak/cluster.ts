/**
 * A whole cluster of real processes: an origin, replicas that reach it through a relay each, and real balancers in front
 * of the replicas, run by what `depot lb-config` prints.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Recorder } from '../checker/recorder.ts'
import { type Balancer, balancer, freePort, type Program } from '../story/balancer.ts'
import { TcpRelay } from '../support/tcp-relay.ts'
import { ClusterNode } from './cluster-node.ts'
import { Facts } from './facts.ts'
import type { Watched } from './lateness.ts'

export interface ClusterWish {
  /** Where the nodes have their data; a replica's folder may be a file system of its own already. */
  readonly folder: string
  readonly recorder: Recorder
  readonly replicas?: number
  readonly balancers?: readonly Program[]
  /** Another program for all nodes. */
  readonly bin?: string
  readonly drainSeconds?: number
}

export interface Front {
  readonly name: Program
  readonly balancer: Balancer
}

export interface Replica {
  readonly node: ClusterNode
  /** Between it and the origin. */
  readonly link: TcpRelay
}

/** More than HAProxy needs to notice: two checks half a second apart, on a busy machine. */
const DRAIN_SECONDS = 3

export class Cluster implements AsyncDisposable {
  readonly facts: Facts
  readonly origin: ClusterNode
  readonly replicas: Replica[] = []
  readonly fronts: Front[] = []

  private constructor(facts: Facts, origin: ClusterNode) {
    this.facts = facts
    this.origin = origin
  }

  static async start(wish: ClusterWish): Promise<Cluster> {
    const { folder, recorder, replicas = 3, balancers = ['haproxy'], drainSeconds = DRAIN_SECONDS } = wish
    const ids = Array.from({ length: replicas }, (_, at) => `r${at + 1}`)
    const facts = new Facts(recorder, ids)
    const drain = ['--drain-seconds', String(drainSeconds)]
    const bin = wish.bin === undefined ? {} : { bin: wish.bin }
    const originOptions = { data: join(folder, 'origin', 'data'), flags: drain, ...bin }
    await mkdir(join(folder, 'origin'), { recursive: true })
    const cluster = new Cluster(facts, new ClusterNode('origin', originOptions, facts))
    try {
      await cluster.origin.start()
      const { token } = await cluster.origin.client.createToken({ label: 'replicas', scopes: ['replicate'] })
      for (const id of ids) {
        const link = await TcpRelay.to(cluster.origin.url)
        const data = join(folder, id, 'data')
        await mkdir(join(folder, id), { recursive: true })
        const address = `127.0.0.1:${await freePort()}`
        const own = ['--listen', address, '--public-url', `http://${address}`, '--node-id', id]
        const flags = [...drain, ...own, '--role', 'replica', '--upstream', link.url]
        const environment = { DEPOT_UPSTREAM_TOKEN: token }
        const node = new ClusterNode(
          id,
          { data, flags, environment, token: cluster.origin.token, ...bin },
          facts,
        )
        cluster.replicas.push({ node, link })
        await node.start()
      }
      for (const { node } of cluster.replicas)
        if (!(await node.ready())) throw new Error(`${node.id} is not ready: ${node.log}`)
      const urls = cluster.replicas.map(({ node }) => node.url)
      for (const name of balancers) cluster.fronts.push({ name, balancer: await balancer(name, urls) })
      return cluster
    } catch (error) {
      await cluster[Symbol.asyncDispose]()
      throw error
    }
  }

  get nodes(): readonly ClusterNode[] {
    return [this.origin, ...this.replicas.map(({ node }) => node)]
  }

  /** Those that answer requests. */
  get processes(): readonly Watched[] {
    const nodes = this.nodes.flatMap(({ id: name, pid }) => (pid === undefined ? [] : [{ name, pid }]))
    const fronts = this.fronts.flatMap(({ name, balancer: { process } }) =>
      process.pid === undefined ? [] : [{ name, pid: process.pid, isMaster: true }],
    )
    return [{ name: 'harness', pid: process.pid }, ...nodes, ...fronts]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { balancer: front } of this.fronts) await front[Symbol.asyncDispose]()
    for (const { node, link } of this.replicas) {
      await node[Symbol.asyncDispose]()
      await link[Symbol.asyncDispose]()
    }
    await this.origin[Symbol.asyncDispose]()
  }
}
