/**
 * The URLs of the native API (DESIGN §7), built in one place for client and server.
 *
 * Names travel percent-encoded as one segment (`@scope%2Fname`); the path of a file keeps its slashes.
 */
import { type Digest, hexOf } from '../model/digest.ts'
import type { Gid } from '../model/generation.ts'

/** The same path under a pinned generation. */
export function pinned(gid: Gid, path: string): string {
  return `/g/${gid}${path}`
}

export const PATHS = {
  head: '/v1/head',
  generations: '/v1/generations',
  channels: '/v1/channels',
  stages: '/v1/stages',
  rollback: '/v1/rollback',
  fork: '/v1/fork',
  adopt: '/v1/adopt',
  tokens: '/v1/tokens',
  keys: '/v1/keys',
  scrub: '/v1/scrub',
  replication: '/v1/replication',
  objects: '/v1/replication/objects',
  log: '/v1/replication/log',
  lineages: '/v1/replication/lineages',
  access: '/v1/replication/access',
  copiedKeys: '/v1/replication/keys',
  origin: '/v1/replication/origin',
  nodes: '/v1/nodes',
  openapi: '/v1/openapi.json',
  problems: '/problems',
  livez: '/livez',
  readyz: '/readyz',
  servez: '/servez',
  metrics: '/metrics',
} as const

/** In the query of an address to which one node sends a client because another has what it lacks (PROTOCOL §6). */
export const SENT_ON = '_h'

/** One generation, by gid, number, RFC 3339 time or `head`. */
export function generationPath(ref: string): string {
  return `${PATHS.generations}/${encodeURIComponent(ref)}`
}

export function diffPath(a: string, b: string): string {
  return `${generationPath(a)}/diff/${encodeURIComponent(b)}`
}

export function channelPath(channel: string): string {
  return `${PATHS.channels}/${encodeURIComponent(channel)}`
}

export function catalogPath(channel: string): string {
  return `${channelPath(channel)}/catalog`
}

export function releasesPath(channel: string, name: string): string {
  return `${channelPath(channel)}/manifests/${encodeURIComponent(name)}`
}

export function manifestPath(channel: string, name: string, version: string): string {
  return `${releasesPath(channel, name)}/${encodeURIComponent(version)}`
}

export function filePath(channel: string, name: string, version: string, path: string): string {
  const segments = path.split('/').map(encodeURIComponent).join('/')
  return `${channelPath(channel)}/files/${encodeURIComponent(name)}/${encodeURIComponent(version)}/${segments}`
}

export function blobPath(digest: Digest): string {
  return `/o/sha256/${hexOf(digest)}`
}

export function stagePath(id: string): string {
  return `${PATHS.stages}/${encodeURIComponent(id)}`
}

export function stageBlobPath(id: string, digest: Digest): string {
  return `${stagePath(id)}/blobs/sha256/${hexOf(digest)}`
}

/** A path of the stage's own overlay: `stagedPath(id, manifestPath(...))`. */
export function stagedPath(id: string, path: string): string {
  return `${stagePath(id)}${path.slice('/v1'.length)}`
}

/** A read path, answered from the staged metaset as if it were committed. */
export function previewPath(id: string, path: string): string {
  return `${stagePath(id)}/preview${path}`
}

export function tokenPath(id: string): string {
  return `${PATHS.tokens}/${encodeURIComponent(id)}`
}

export function keyPath(id: string): string {
  return `${PATHS.keys}/${encodeURIComponent(id)}`
}

export function heartbeatPath(id: string): string {
  return `${PATHS.nodes}/${encodeURIComponent(id)}/heartbeat`
}

export function leavePath(id: string): string {
  return `${PATHS.nodes}/${encodeURIComponent(id)}/leave`
}

export function problemType(code: string): string {
  return `${PATHS.problems}/${code}`
}
