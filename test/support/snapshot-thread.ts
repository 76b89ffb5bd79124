/**
 * A thread of the model test of snapshots: changes keys of its own at random, and notes when each
 * version of a key began and ended, in ticks of a clock that all threads share.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { Cache, type CacheHandle } from '../../lib/engine/cache.ts'
import { Status } from '../../lib/engine/status.ts'
import { Peer } from './engine-peer.ts'
import { createRandom } from './prng.ts'

export interface SnapshotThread {
  handle: CacheHandle
  seed: number
  name: string
  keys: number
  valueBytesMax: number
  /** Word 0: not 0 to end; word 1: the clock. */
  control: Int32Array
}

/** A version of a key; null: it was deleted. */
export interface Version {
  value: string | null
  /** Ticks before it was stored, and after. */
  before: number
  after: number
}

export type History = Map<string, Version[]>

/** The value of a version: its number, again and again. */
export function versionText(version: string, bytes: number): Buffer {
  return Buffer.alloc(version.length + bytes, `${version};`, 'latin1')
}

function run({ handle, seed, name, keys, valueBytesMax, control }: SnapshotThread): History {
  const random = createRandom(seed)
  const peer = new Peer(Cache.attach(handle))
  const history: History = new Map()
  const tick = () => Atomics.add(control, 1, 1)
  for (let step = 0; Atomics.load(control, 0) === 0; step++) {
    const key = `${name}-${random.below(keys)}`
    const isDeleted = random.once(5)
    const bytes = random.once(40) ? random.below(valueBytesMax) : random.below(100)
    const value = versionText(`${name}.${step}`, bytes)
    const before = tick()
    if (isDeleted) peer.remove(key)
    else if (peer.set(key, value) !== Status.OK) throw new Error('a set was refused')
    const version = { value: isDeleted ? null : value.toString('latin1'), before, after: tick() }
    const versions = history.get(key) ?? []
    versions.push(version)
    history.set(key, versions)
  }
  return history
}

if (parentPort !== null) {
  parentPort.postMessage('running')
  parentPort.postMessage(run(workerData as SnapshotThread))
}
