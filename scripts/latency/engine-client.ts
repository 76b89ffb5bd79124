// The engine as a worker of the daemon uses it, in one thread: requests one after the other, and
// upkeep in between whenever an arena's is due. Each request and each upkeep is timed.

import { Area } from '../../lib/bytes/area.ts'
import type { Arena } from '../../lib/engine/arena/arena.ts'
import type { Ref } from '../../lib/engine/arena/layout.ts'
import { CLOCK_S, ITEM_COUNT } from '../../lib/engine/arena/layout.ts'
import { Cache, type CacheOptions } from '../../lib/engine/cache.ts'
import { readValue } from '../../lib/engine/items/item.ts'
import type { Shard } from '../../lib/engine/shard.ts'
import { Status } from '../../lib/engine/status.ts'
import { Ask, type HitSink } from '../../lib/engine/storing/ask.ts'
import { Times } from './times.ts'

const KEY_BYTES = 24
/** Words of a page of the kernel. */
const PAGE_WORDS = 1024
const VALUE_BYTES_MAX = 2 ** 20

/** Copies the value, as a reply does. */
class CopySink implements HitSink {
  readonly to = Area.allocate(VALUE_BYTES_MAX)

  accept(arena: Arena, ref: Ref): Status {
    readValue(arena, ref, this.to, 0)
    return Status.OK
  }
}

export class EngineClient {
  readonly cache: Cache
  readonly requests = new Times()
  readonly upkeeps = new Times()
  /** Stores that were refused. */
  refused = 0
  private readonly key = Area.allocate(KEY_BYTES)
  private readonly value = Area.allocate(VALUE_BYTES_MAX)
  private readonly sink = new CopySink()
  private readonly ask = new Ask(this.key)
  /** By arena: when its next upkeep is due. */
  private readonly dueMs: number[]

  constructor(options: CacheOptions) {
    this.cache = Cache.create(options)
    this.dueMs = this.cache.shards.map(() => 0)
    this.value.bytes.fill('v')
    this.key.bytes.fill('k')
  }

  /** Whether it hit. */
  get(id: number): boolean {
    const shard = this.locate(id)
    const startMs = performance.now()
    const status = shard.get(this.ask, this.sink)
    this.requests.add(performance.now() - startMs)
    return status === Status.OK
  }

  set(id: number, valueBytes: number, expiresAtS = 0): void {
    const { ask } = this
    const shard = this.locate(id)
    ask.expiresAtS = expiresAtS
    ask.valueBytes = valueBytes
    ask.dropsOld = true
    const startMs = performance.now()
    const status = shard.store(ask, this.value, 0)
    this.requests.add(performance.now() - startMs)
    if (status !== Status.OK) this.refused++
  }

  /** Does the upkeep that is due. Returns whether any was. */
  upkeep(): boolean {
    const nowMs = performance.now()
    let worked = false
    for (let index = 0; index < this.dueMs.length; index++) {
      if (this.dueMs[index] > nowMs) continue
      const startMs = performance.now()
      const restMs = this.cache.upkeep(index)
      const endMs = performance.now()
      this.upkeeps.add(endMs - startMs)
      this.dueMs[index] = endMs + restMs
      worked = true
    }
    return worked
  }

  get nowS(): number {
    return this.cache.shards[0].arena.words[CLOCK_S]
  }

  /** Touches every page, so that no request waits for the kernel to provide one. */
  touchMemory(): void {
    for (const { arena } of this.cache.shards) {
      for (let at = arena.bucketsAt; at < arena.words.length; at += PAGE_WORDS) {
        arena.words[at] |= 0
      }
    }
  }

  itemCount(): number {
    return this.cache.shards.reduce((sum, { arena }) => sum + arena.words[ITEM_COUNT], 0)
  }

  /** Sets the arenas' clocks forward. */
  advance(seconds: number): void {
    for (const { arena } of this.cache.shards) arena.words[CLOCK_S] += seconds
  }

  private locate(id: number): Shard {
    this.key.view.setFloat64(0, id)
    this.ask.setKey(this.key, 0, KEY_BYTES, this.cache.hash(this.key, 0, KEY_BYTES))
    return this.cache.shardOf(this.ask.hash)
  }
}
