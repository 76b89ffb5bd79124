// Commands about the daemon itself: `shutdown`, and `config`, by which clients of ElastiCache
// discover the nodes of a cluster.
//
//   config get cluster        CONFIG cluster 0 LENGTH
//                             VERSION
//                             host|ip|port host|ip|port ...
//                             (an empty line)
//                             END
//
// LENGTH counts the version, the nodes and the \n after each, but not the \r\n that follows. Where
// it is allowed, `config set cluster 0 LENGTH` followed by the same text changes the nodes for all
// threads. Without a version they get the next one. `config set NAME VALUE` changes a setting of
// this daemon (parameters.ts).

import type { Area } from '../../bytes/area.ts'
import { CLUSTER_BYTES_MAX } from '../../bytes/memcached.ts'
import { Status } from '../../engine/status.ts'
import { CloseReason } from '../../observe/journal.ts'
import { type Conversation, State } from '../conversation.ts'
import type { Cluster } from '../host.ts'
import { VALUE_BYTES_MAX } from '../limits.ts'
import { readInt32 } from '../words/numbers.ts'
import { Line, storedLine } from '../words/print.ts'
import { line, type Speaker, wordAt } from '../words/speaker.ts'
import { LINE_END_BYTES, tokenCount, tokenEnd, tokenStart } from '../words/tokens.ts'
import { CLUSTER_VERSION_MAX } from './cluster-board.ts'
import { setParameter, whoIs } from './parameters.ts'

const NOT_ENABLED = line('SERVER_ERROR: shutdown not enabled')
const BAD_MODE = line('CLIENT_ERROR invalid shutdown mode')
const CONFIG_FIXED = line('CLIENT_ERROR the cluster configuration cannot be changed')

const CONFIG_SET_REFUSED = line('CLIENT_ERROR config set not allowed')
const BAD_NODES = line('CLIENT_ERROR nodes have to be host|ip|port with spaces between')
const OLD_VERSION = line('CLIENT_ERROR the version has to be above that of the cluster')

const CLUSTER = 'cluster'
/** The key by which older clients get the nodes. */
export const CLUSTER_KEY = 'AmazonElastiCache:cluster'

export function shutdown(bytes: Buffer, peer: Conversation, speaker: Speaker): void {
  const { host } = peer
  if (!host.allowed.shutdown) return speaker.say(NOT_ENABLED)
  const graceful = tokenCount === 2 && wordAt(bytes, 1) === 'graceful'
  if (tokenCount !== 1 && !graceful) return speaker.say(BAD_MODE)
  peer.closeReason = CloseReason.SHUTDOWN
  peer.state = State.ENDED
  host.shutdown(graceful)
}

export function config(bytes: Buffer, peer: Conversation, speaker: Speaker): void {
  const [verb, key] = [wordAt(bytes, 1), wordAt(bytes, 2)]
  switch (verb) {
    case 'get':
      if (tokenCount !== 3) return speaker.say(Line.ERROR)
      if (key !== CLUSTER) return speaker.say(Line.END)
      return peer.sendTail(describeCluster(peer))
    case 'set':
      // Four words have no body. `cluster` has one.
      if (tokenCount === 4 && key !== CLUSTER) return setSetting(bytes, peer, speaker)
      return setCluster(bytes, peer, speaker)
    case 'add':
    case 'incr':
    case 'delete':
    case 'sub':
      return speaker.say(CONFIG_FIXED)
    default:
      return speaker.say(Line.ERROR)
  }
}

/** Answers a `config` that has a body, which is discarded; false: it has none. */
export function refuseBody(bytes: Buffer, peer: Conversation, reply: Area): boolean {
  const [verb, key] = [wordAt(bytes, 1), wordAt(bytes, 2)]
  if (verb !== 'set' || tokenCount < 5 || key === '') return false
  const valueBytes = readInt32(bytes, tokenStart[4], tokenEnd[4])
  if (!(valueBytes >= 0 && valueBytes <= VALUE_BYTES_MAX)) return false
  peer.swallow(valueBytes + LINE_END_BYTES, reply)
  return true
}

function setSetting(bytes: Buffer, peer: Conversation, speaker: Speaker): void {
  const { host, id } = peer
  if (!host.cluster.isWritable) return speaker.say(CONFIG_SET_REFUSED)
  const fault = setParameter(host, wordAt(bytes, 2), wordAt(bytes, 3), whoIs(host, id))
  speaker.say(fault === null ? Line.OK : line(`CLIENT_ERROR ${fault}`))
}

function setCluster(bytes: Buffer, peer: Conversation, speaker: Speaker): void {
  const valueBytes = tokenCount < 5 ? -1 : readInt32(bytes, tokenStart[4], tokenEnd[4])
  const known = valueBytes >= 0 && valueBytes <= VALUE_BYTES_MAX
  if (!known) return speaker.say(peer.host.cluster.isWritable ? Line.BAD_FORMAT : CONFIG_FIXED)
  // Its body would otherwise be read as commands.
  const refuse = (reply: Area) => peer.swallow(valueBytes + 2, reply)
  if (!peer.host.cluster.isWritable) return refuse(CONFIG_FIXED)
  if (wordAt(bytes, 2) !== CLUSTER) return refuse(Line.BAD_FORMAT)
  if (valueBytes > CLUSTER_BYTES_MAX) return refuse(Line.TOO_LARGE)
  peer.collect(valueBytes + 2, value => storeCluster(peer.host.cluster, value.toString('latin1')))
}

/** Stores a configuration. Returns the reply. */
function storeCluster(cluster: Cluster, text: string): Area {
  if (!text.endsWith('\r\n')) return Line.BAD_CHUNK
  const [, digits, list] = /^(?:(\d{1,10})\r?\n)?([^\r\n]*)\r?\n?\r\n$/.exec(text) ?? []
  const nodes = (list ?? '').split(' ').filter(node => node !== '')
  if (nodes.length === 0 || !nodes.every(node => NODE.test(node))) return BAD_NODES
  const version = digits === undefined ? cluster.read().version + 1 : Number(digits)
  const isTaken = version <= CLUSTER_VERSION_MAX && cluster.set(version, nodes)
  return isTaken ? storedLine(Status.OK) : OLD_VERSION
}

const NODE = /^[\x21-\x7b\x7d-\x7e]+\|[\x21-\x7b\x7d-\x7e]*\|\d{1,5}$/

function describeCluster(peer: Conversation): Buffer {
  const nodes = clusterNodes(peer)
  return Buffer.from(`CONFIG ${CLUSTER} 0 ${nodes.length}\r\n${nodes}\r\nEND\r\n`, 'latin1')
}

/** The value of a cluster's configuration: its version and its nodes. */
export function clusterNodes(peer: Conversation): string {
  const { version, nodes } = peer.host.cluster.read()
  return `${version}\n${(nodes.length > 0 ? nodes : [ownNode(peer)]).join(' ')}\n`
}

/** This daemon, by the address that the peer connected to. */
function ownNode(peer: Conversation): string {
  const { address, port } = peer.endpoint()
  return `${peer.host.cluster.hostName}|${address}|${port}`
}
