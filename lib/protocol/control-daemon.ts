// The commands about the daemon itself: `shutdown`, and `config`, by which clients of ElastiCache
// learn the nodes of a cluster.
//
//   config get cluster        CONFIG cluster 0 LENGTH
//                             VERSION
//                             host|ip|port host|ip|port ...
//                             (an empty line)
//                             END
//
// LENGTH counts the version, the nodes and the \n behind each, and not the \r\n that follows.

import { VALUE_BYTES_MAX } from '../limits.ts'
import { parseInt32 } from './ascii.ts'
import { type Conversation, State } from './conversation.ts'
import { CloseReason } from './journal.ts'
import { line, type Speaker, wordAt } from './speaker.ts'
import { Line } from './text-print.ts'
import { tokenCount, tokenEnd, tokenStart } from './tokens.ts'

const NOT_ENABLED = line('ERROR: shutdown not enabled')
const BAD_MODE = line('CLIENT_ERROR invalid shutdown mode')
const CONFIG_FIXED = line('CLIENT_ERROR the cluster configuration cannot be changed')

const CLUSTER = 'cluster'
/** The key under which older clients ask for the nodes with a get. */
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
    case 'set': {
      // What it brings would be taken for commands.
      const valueBytes = parseInt32(bytes, tokenStart[4], tokenEnd[4])
      const known = tokenCount >= 5 && valueBytes >= 0 && valueBytes <= VALUE_BYTES_MAX
      return known ? peer.swallow(valueBytes + 2, CONFIG_FIXED) : speaker.say(CONFIG_FIXED)
    }
    case 'add':
    case 'incr':
    case 'delete':
    case 'sub':
      return speaker.say(CONFIG_FIXED)
    default:
      return speaker.say(Line.ERROR)
  }
}

function describeCluster(peer: Conversation): Buffer {
  const nodes = clusterNodes(peer)
  return Buffer.from(`CONFIG ${CLUSTER} 0 ${nodes.length}\r\n${nodes}\r\nEND\r\n`, 'latin1')
}

/** The value of a cluster's configuration: its version and its nodes. */
export function clusterNodes(peer: Conversation): string {
  const { cluster } = peer.host
  const nodes = cluster.nodes.length > 0 ? cluster.nodes : [ownNode(peer)]
  return `${cluster.version}\n${nodes.join(' ')}\n`
}

/** This daemon, as the peer reached it. */
function ownNode(peer: Conversation): string {
  const { address, port } = peer.endpoint()
  return `${peer.host.cluster.hostName}|${address}|${port}`
}
