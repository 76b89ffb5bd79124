// The nodes of the cluster in shared memory, so that all threads print the same after one of them
// has run `config set cluster`. There are two slots: TURN says which one is read. A writer fills
// the other and then advances TURN, so a reader that saw the same TURN before and after has a
// complete copy.
//
//   TURN  LOCK | slot 0: VERSION LENGTH text .. | slot 1: VERSION LENGTH text ..

import { CLUSTER_BYTES_MAX } from '../../bytes/memcached.ts'
import type { Cluster } from '../host.ts'

/** How often a read is retried if the nodes changed meanwhile. */
const CLUSTER_READ_TRIES_MAX = 1000

/** Fit for postMessage. */
export interface ClusterHandle {
  buffer: SharedArrayBuffer
  hostName: string
  isWritable: boolean
}

const TURN = 0
const LOCK = 1
const HEAD_WORDS = 2
const SLOT_VERSION = 0
const SLOT_LENGTH = 1
const SLOT_HEAD_WORDS = 2
const SLOT_WORDS = SLOT_HEAD_WORDS + CLUSTER_BYTES_MAX / 4

/** Largest version, which fits a signed word. */
export const CLUSTER_VERSION_MAX = 2 ** 31 - 1

/** A board with these nodes, `host|ip|port` each, as version 1. */
export function createClusterBoard(
  nodes: readonly string[],
  hostName: string,
  isWritable: boolean,
): ClusterHandle {
  const buffer = new SharedArrayBuffer((HEAD_WORDS + 2 * SLOT_WORDS) * 4)
  const handle = { buffer, hostName, isWritable }
  new ClusterBoard(handle).set(1, nodes)
  return handle
}

export class ClusterBoard implements Cluster {
  readonly hostName: string
  readonly isWritable: boolean
  private readonly words: Int32Array
  private readonly bytes: Buffer

  constructor({ buffer, hostName, isWritable }: ClusterHandle) {
    this.hostName = hostName
    this.isWritable = isWritable
    this.words = new Int32Array(buffer)
    this.bytes = Buffer.from(buffer)
  }

  read(): { version: number; nodes: string[] } {
    for (let tries = 1; ; tries++) {
      const turn = Atomics.load(this.words, TURN)
      const at = slotOf(turn)
      const version = this.words[at + SLOT_VERSION]
      const start = (at + SLOT_HEAD_WORDS) * 4
      const text = this.bytes.toString('latin1', start, start + this.words[at + SLOT_LENGTH])
      if (Atomics.load(this.words, TURN) !== turn && tries < CLUSTER_READ_TRIES_MAX) continue
      return { version, nodes: text.split(' ').filter(node => node !== '') }
    }
  }

  /** False if the version is not above the last one, or another thread is writing. */
  set(version: number, nodes: readonly string[]): boolean {
    if (Atomics.compareExchange(this.words, LOCK, 0, 1) !== 0) return false
    const turn = Atomics.load(this.words, TURN)
    const isNewer = version > this.words[slotOf(turn) + SLOT_VERSION]
    if (isNewer) {
      const at = slotOf(turn + 1)
      const start = (at + SLOT_HEAD_WORDS) * 4
      this.words[at + SLOT_VERSION] = version
      this.words[at + SLOT_LENGTH] = this.bytes.write(
        nodes.join(' '),
        start,
        CLUSTER_BYTES_MAX,
        'latin1',
      )
      Atomics.store(this.words, TURN, turn + 1)
    }
    Atomics.store(this.words, LOCK, 0)
    return isNewer
  }
}

function slotOf(turn: number): number {
  return HEAD_WORDS + (turn & 1) * SLOT_WORDS
}
