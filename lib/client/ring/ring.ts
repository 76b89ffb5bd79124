// The hash ring: which server of a pool owns a key. Pure functions; byte for byte the ketama of
// other clients, so that applications in several languages and proxies share one pool.
//
//   0 --- p --- p --- p --- .. --- 2^32     each node has many points on the circle;
//         2     0     2                     a key belongs to the first point at or after its hash
//
// A node's points: md5 of `name-0`, `name-1`, .. gives four each, little-endian. Kinds of ring:
//
//   libmemcached   name `host:port`, `host` alone at port 11211; 160 points per node on average,
//                  shared by weight in single precision (libmemcached's weighted ketama: pylibmc,
//                  php-memcached's OPT_LIBKETAMA_COMPATIBLE, Perl); keys by md5
//   twemproxy      as libmemcached, an optional name in place of `host:port`; keys by fnv1a_64
//                  unless its `hash` says md5
//   spymemcached   `host:port` always, 160 points each, no weights (KetamaNodeLocator); keys by md5

import assert from 'node:assert/strict'
// A default import, because an old Node has no `hash` (node-check.ts).
import crypto from 'node:crypto'
import { checkChoice, refuse } from '../../doors/arguments.ts'

/** Most nodes of a ring; node index and point value share a double. */
const RING_NODES_MAX = 65_536
assert(RING_NODES_MAX * 2 ** 32 <= Number.MAX_SAFE_INTEGER, 'a point and its owner are one double')

/** Largest weight of a node, and the points of a node with average weight (ketama). */
const RING_WEIGHT_MAX = 1_000_000
const RING_POINTS_PER_NODE = 160

/** Points of one md5. */
const RING_POINTS_PER_HASH = 4

export const RING_KINDS = ['libmemcached', 'twemproxy', 'spymemcached'] as const
export type RingKind = (typeof RING_KINDS)[number]
export const KEY_HASHES = ['md5', 'fnv1a_64'] as const
export type KeyHash = (typeof KEY_HASHES)[number]

export interface RingNode {
  /** A name or an address, IPv6 without brackets, or the path of a UNIX socket. */
  host: string
  /** Undefined for a UNIX socket, whose name is its path. */
  port?: number
  /** Share of the keys relative to other nodes. Default 1. */
  weight?: number
  /**
   * Name from which the points are computed, instead of host and port (twemproxy's server name).
   */
  name?: string
}

export interface RingOptions {
  /** Default libmemcached. */
  kind?: RingKind
  /** Default md5, or fnv1a_64 for a ring of twemproxy. */
  keyHash?: KeyHash
  /**
   * Two characters: only the part of a key between them is hashed, so that related keys share a
   * node (twemproxy's hash_tag, as in `{}`).
   */
  hashTag?: string
}

/** Points in ascending order, and the index of each point's node. */
export interface Ring {
  readonly values: Uint32Array
  readonly owners: Uint32Array
  readonly keyHash: KeyHash
  readonly hashTag: string
}

const MEMCACHED_PORT = 11211
const PORT_MAX = 65_535
const FNV_64_OFFSET = 0xcbf29ce484222325n
const FNV_64_PRIME = 0x100000001b3n

/** A ring of these nodes. CacheError ARGUMENT for wrong options or nodes. */
export function createRing(nodes: readonly RingNode[], options: RingOptions = {}): Ring {
  const { kind = 'libmemcached', hashTag = '' } = options
  const { keyHash = kind === 'twemproxy' ? 'fnv1a_64' : 'md5' } = options
  checkNodes(nodes)
  checkChoice('kind', kind, RING_KINDS)
  checkChoice('keyHash', keyHash, KEY_HASHES)
  if (typeof hashTag !== 'string' || (hashTag.length !== 0 && hashTag.length !== 2)) {
    refuse('hashTag', 'two characters', hashTag)
  }
  const counts = nodes.map(node => pointCount(nodes, node, kind))
  const total = counts.reduce((sum, count) => sum + count, 0)
  // Value and owner in one number, so that a plain numeric sort orders by value, then by node.
  const points = new Float64Array(total)
  let at = 0
  for (const [index, node] of nodes.entries()) {
    const name = pointName(node, kind)
    for (let i = 0; i < counts[index] / RING_POINTS_PER_HASH; i++) {
      const digest = crypto.hash('md5', `${name}-${i}`, 'buffer')
      for (let part = 0; part < RING_POINTS_PER_HASH; part++) {
        points[at++] = digest.readUInt32LE(part * 4) * RING_NODES_MAX + index
      }
    }
  }
  points.sort()
  const values = Uint32Array.from(points, point => Math.floor(point / RING_NODES_MAX))
  const owners = Uint32Array.from(points, point => point % RING_NODES_MAX)
  return { values, owners, keyHash, hashTag }
}

/** Index of the node that owns a key; -1 in a ring without nodes. */
export function ownerOf(ring: Ring, key: string): number {
  const point = pointOf(ring, hashKey(ring, key))
  return point < 0 ? -1 : ring.owners[point]
}

/**
 * The nodes that a key goes to, each when those before it are away: the owner, then the owners of
 * the following points. Each node once, at most `count` of them.
 */
export function successorsOf(ring: Ring, key: string, count: number): number[] {
  const { owners } = ring
  const found: number[] = []
  const start = pointOf(ring, hashKey(ring, key))
  for (let i = 0; i < owners.length && found.length < count; i++) {
    const owner = owners[(start + i) % owners.length]
    if (!found.includes(owner)) found.push(owner)
  }
  return found
}

/** A key's place on the circle, an unsigned 32-bit number. */
export function hashKey({ keyHash, hashTag }: Ring, key: string): number {
  const tagged = hashTag === '' ? key : taggedPart(key, hashTag)
  if (keyHash === 'md5') return crypto.hash('md5', tagged, 'buffer').readUInt32LE(0)
  // The lower half of the 64 bits, as in twemproxy.
  let state = FNV_64_OFFSET
  for (const byte of Buffer.from(tagged)) {
    state = BigInt.asUintN(64, (state ^ BigInt(byte)) * FNV_64_PRIME)
  }
  return Number(BigInt.asUintN(32, state))
}

/** The name from which a node's points are computed. */
export function pointName({ host, port, name }: RingNode, kind: RingKind): string {
  if (name !== undefined) return name
  if (port === undefined) return host
  return port === MEMCACHED_PORT && kind !== 'spymemcached' ? host : `${host}:${port}`
}

/** The first point at or after a hash, wrapping around; -1 if there is none. */
function pointOf({ values }: Ring, hashed: number): number {
  let low = 0
  let high = values.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (values[middle] < hashed) low = middle + 1
    else high = middle
  }
  if (low < values.length) return low
  return values.length === 0 ? -1 : 0
}

/** In single precision step by step, as C computes it: equal weights do not always give 160. */
function pointCount(nodes: readonly RingNode[], { weight = 1 }: RingNode, kind: RingKind): number {
  if (kind === 'spymemcached') return RING_POINTS_PER_NODE
  const { fround } = Math
  const total = nodes.reduce((sum, node) => sum + (node.weight ?? 1), 0)
  const share = fround(fround(weight) / fround(total))
  const hashes = fround(fround(share * RING_POINTS_PER_NODE) / RING_POINTS_PER_HASH)
  return Math.floor(fround(fround(hashes * nodes.length) + fround(1e-10))) * RING_POINTS_PER_HASH
}

/** The part of the key between the two characters of the tag, or the whole key. */
function taggedPart(key: string, hashTag: string): string {
  const start = key.indexOf(hashTag[0])
  const end = start < 0 ? -1 : key.indexOf(hashTag[1], start + 1)
  return end > start + 1 ? key.slice(start + 1, end) : key
}

function checkNodes(nodes: readonly RingNode[]): void {
  if (nodes.length > RING_NODES_MAX) {
    refuse('servers', `at most ${RING_NODES_MAX}`, nodes.length)
  }
  for (const node of nodes) checkNode(node)
}

/** ARGUMENT for what can be no node of a ring. */
export function checkNode(node: RingNode): void {
  const { host, port, weight = 1, name = host } = node ?? {}
  if (typeof host !== 'string' || host === '') refuse('host', 'a name, an address or a path', host)
  if (typeof name !== 'string') refuse(`name of ${host}`, 'a string', name)
  if (port !== undefined && !isWhole(port, PORT_MAX)) {
    refuse(`port of ${host}`, `a whole number from 1 to ${PORT_MAX}`, port)
  }
  if (!isWhole(weight, RING_WEIGHT_MAX)) {
    refuse(`weight of ${host}`, `a whole number from 1 to ${RING_WEIGHT_MAX}`, weight)
  }
}

function isWhole(number: unknown, max: number): boolean {
  return Number.isInteger(number) && (number as number) >= 1 && (number as number) <= max
}
