// One thread of a soak: phases of some seconds, each with its own sizes and ends of items, on keys
// that all threads use. Every value that is read is looked at whole. Keeps arenas of its own in
// order, and now and then holds an item for a while, as a reader that is slow does.

import { parentPort, workerData } from 'node:worker_threads'
import { Area } from '../../lib/bytes/area.ts'
import type { Arena } from '../../lib/engine/arena/arena.ts'
import { CLOCK_S, ITEM_VALUE_BYTES, type Ref } from '../../lib/engine/arena/layout.ts'
import { Cache, type CacheHandle } from '../../lib/engine/cache.ts'
import type { Hold } from '../../lib/engine/items/holds.ts'
import { readValue } from '../../lib/engine/items/item.ts'
import type { Shard } from '../../lib/engine/shard.ts'
import { Status } from '../../lib/engine/status.ts'
import { Ask, type HitSink } from '../../lib/engine/storing/ask.ts'
import { randomFrom } from '../bench/requests.ts'

export interface SoakTask {
  handle: CacheHandle
  holder: number
  index: number
  threads: number
  seed: number
  /** Word 0: not 0 to end. */
  control: Int32Array
}

/** What a thread did; `failure`: what was wrong, '' if nothing. */
export interface SoakReport {
  gets: number
  hits: number
  sets: number
  refused: number
  flushes: number
  failure: string
}

const KEY_BYTES = 12
const KEYS = 200_000
const VALUE_BYTES_MAX = 300_000
const HEAD_BYTES = 8
const PHASE_MS = 3000
const OPS_A_LOOK = 256
const HOLDS = 8
const FLUSH_EVERY_MS = 7000
/** Values of a phase: from, to, as powers of two. */
const SIZES: [from: number, to: number][] = [
  [3, 7],
  [6, 10],
  [9, 14],
  [12, 18],
  [3, 18],
]
/** Ends of a phase's items, seconds; 0 for none. */
const ENDS_S = [0, 0, 1, 3, 30]

/** Copies a value, or has it held. */
class Sink implements HitSink {
  readonly to = Area.allocate(VALUE_BYTES_MAX)
  length = 0
  keeps = false

  accept(arena: Arena, ref: Ref): Status {
    this.length = arena.words[ref + ITEM_VALUE_BYTES]
    if (this.keeps) return Status.HELD
    readValue(arena, ref, this.to, 0)
    return Status.OK
  }
}

class SoakThread {
  readonly report: SoakReport = {
    gets: 0,
    hits: 0,
    sets: 0,
    refused: 0,
    flushes: 0,
    failure: '',
  }
  private readonly task: SoakTask
  private readonly cache: Cache
  private readonly random: () => number
  private readonly key = Area.allocate(KEY_BYTES)
  private readonly value = Area.allocate(VALUE_BYTES_MAX)
  private readonly sink = new Sink()
  private readonly ask = new Ask(this.key)
  private readonly held: { shard: Shard; hold: Hold }[] = []
  private readonly dueMs: number[] = []
  private sizes = SIZES[0]
  private ttlS = 0
  private serial = 0

  constructor(task: SoakTask) {
    this.task = task
    this.cache = Cache.attach(task.handle, task.holder)
    this.random = randomFrom(task.seed + task.index)
    this.key.bytes.fill('k')
  }

  run(): void {
    let phaseMs = 0
    let flushMs = performance.now()
    while (Atomics.load(this.task.control, 0) === 0 && this.report.failure === '') {
      const nowMs = performance.now()
      if (nowMs > phaseMs) phaseMs = this.changePhase(nowMs)
      if (this.task.index === 0 && nowMs - flushMs > FLUSH_EVERY_MS) {
        this.flush()
        flushMs = nowMs
      }
      this.keep(nowMs)
      for (let i = 0; i < OPS_A_LOOK && this.report.failure === ''; i++) this.step()
    }
    for (const { shard, hold } of this.held) shard.release(hold)
    // Whatever it was, the others need not go on.
    Atomics.store(this.task.control, 0, 1)
  }

  private changePhase(nowMs: number): number {
    this.sizes = this.pick(SIZES)
    this.ttlS = this.pick(ENDS_S)
    return nowMs + PHASE_MS * (0.5 + this.random())
  }

  private flush(): void {
    const { cache } = this
    this.report.flushes++
    const delayS = this.pick([0, 0, 2])
    for (const shard of cache.shards) shard.flush(shard.arena.words[CLOCK_S] + delayS)
  }

  /** The upkeep of the arenas that are this thread's, when it is due. */
  private keep(nowMs: number): void {
    const { index, threads } = this.task
    for (let at = index; at < this.cache.shards.length; at += threads) {
      if ((this.dueMs[at] ?? 0) > nowMs) continue
      this.dueMs[at] = nowMs + this.cache.upkeep(at)
    }
  }

  private step(): void {
    const id = Math.floor(this.random() ** 3 * KEYS)
    const kind = this.random()
    if (kind < 0.5) this.get(id)
    else if (kind < 0.94) this.set(id)
    else if (kind < 0.99) this.remove(id)
    else this.keepHeld(id)
  }

  private get(id: number): void {
    const { ask, sink, report } = this
    const shard = this.locate(id, ask)
    report.gets++
    if (shard.get(ask, sink) !== Status.OK) return
    report.hits++
    const { bytes, view } = sink.to
    const length = sink.length
    const isOwn = length >= HEAD_BYTES && view.getInt32(0) === id && view.getInt32(4) === length
    const byte = bytes[length - 1]
    // The first of the bytes is compared with its neighbour, that one with its own, and so on.
    const isWhole =
      length <= HEAD_BYTES + 1 ||
      bytes.compare(bytes, HEAD_BYTES + 1, length, HEAD_BYTES, length - 1) === 0
    if (!isOwn || !isWhole)
      report.failure = `key ${id} has a wrong value of ${length} bytes, ${byte}`
  }

  private set(id: number): void {
    const { ask, value, report } = this
    const [from, to] = this.sizes
    const length = Math.floor(2 ** (from + this.random() * (to - from)))
    const valueBytes = Math.max(HEAD_BYTES, length)
    value.view.setInt32(0, id)
    value.view.setInt32(4, valueBytes)
    value.bytes.fill(++this.serial & 0xff, HEAD_BYTES, valueBytes)
    const shard = this.locate(id, ask)
    ask.expiresAtS = shard.expiresAtS(this.ttlS)
    ask.valueBytes = valueBytes
    ask.dropsOld = true
    report.sets++
    const status = shard.store(ask, value, 0)
    if (status === Status.NO_MEMORY) report.refused++
    else if (status !== Status.OK) report.failure = `a set of ${valueBytes} bytes: ${status}`
  }

  private remove(id: number): void {
    this.locate(id, this.ask).remove(this.ask)
  }

  /** Holds an item, and lets the one go that was held longest. */
  private keepHeld(id: number): void {
    const { sink } = this
    if (this.held.length === HOLDS) {
      const first = this.held.shift()
      first?.shard.release(first.hold)
    }
    const ask = new Ask(this.key)
    const shard = this.locate(id, ask)
    sink.keeps = true
    if (shard.get(ask, sink) === Status.HELD) this.held.push({ shard, hold: ask.hold })
    sink.keeps = false
  }

  private locate(id: number, ask: Ask): Shard {
    this.key.view.setInt32(0, id)
    ask.setKey(this.key, 0, KEY_BYTES, this.cache.hash(this.key, 0, KEY_BYTES))
    return this.cache.shardOf(ask.hash)
  }

  private pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.random() * from.length)]
  }
}

const thread = new SoakThread(workerData as SoakTask)
thread.run()
parentPort?.postMessage(thread.report)
