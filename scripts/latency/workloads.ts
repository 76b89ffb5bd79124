// The engine's workloads as data: how the cache is filled, and what is done to it while times are
// measured.

import { GIB, MIB } from '../../lib/bytes/units.ts'
import type { CacheOptions } from '../../lib/engine/cache.ts'
import { randomFrom } from '../bench/requests.ts'
import type { EngineClient } from './engine-client.ts'

export interface Workload {
  name: string
  options: CacheOptions
  prepare?(client: EngineClient): void
  run(client: EngineClient): void
}

/** One arena with pages of the largest size. */
const LARGE_PAGES: CacheOptions = { memoryBytes: 512 * MIB }
const SMALL_BYTES = 20
const USUAL_BYTES = 100
const TTL_S = 60
/** Longer than the sweep after a flush waits. */
const SWEPT_S = 10
/** Items that do not expire while many others do. */
const LIVE_ITEMS = 200_000
/** More small items than LARGE_PAGES has room for. */
const FULL = 9_000_000
const EXPIRING_IDS_FROM = 1e9
const QUIET_MS = 1000

/** `millions` of items fill the growing table; a quarter of that number expires or is flushed. */
export function workloads(millions: number): Workload[] {
  return [
    {
      name: 'gets and sets of 100 B, 10:1',
      options: LARGE_PAGES,
      prepare: client => fill(client, 1_000_000, () => USUAL_BYTES),
      run: client => useEvenly(client, 1_000_000, 1_000_000),
    },
    {
      name: 'sets that evict, 8 B to 8 KiB',
      options: LARGE_PAGES,
      prepare: client => fill(client, 1_000_000, mixed(1)),
      run: client => setMany(client, 1_000_000, 1_000_000, mixed(2)),
    },
    changeOf(SMALL_BYTES, USUAL_BYTES),
    changeOf(USUAL_BYTES, 10_000),
    changeOf(10_000, USUAL_BYTES),
    changeOf(SMALL_BYTES, 1_000_000),
    changeOf(1_000_000, SMALL_BYTES),
    massExpiry(millions * 250_000),
    flush(millions * 250_000),
    {
      name: 'pages moved on command',
      options: LARGE_PAGES,
      prepare: client => fill(client, FULL, () => SMALL_BYTES),
      run: client => movePages(client, 500_000),
    },
    {
      name: 'memory limit lowered to a quarter',
      options: LARGE_PAGES,
      prepare: client => fill(client, FULL, () => SMALL_BYTES),
      run(client) {
        client.cache.setMemoryLimit(128 * MIB)
        getUntilQuiet(client, FULL)
      },
    },
    growth(millions),
    {
      ...growth(millions),
      name: 'the same in memory that was touched before',
      prepare: client => client.touchMemory(),
    },
  ]
}

function growth(millions: number): Workload {
  return {
    name: `growth from empty to ${millions} million items`,
    options: { memoryBytes: 4 * GIB },
    run: client => fill(client, millions * 1_000_000, () => SMALL_BYTES),
  }
}

/** A cache full of values of one size, then sets of another. */
function changeOf(from: number, to: number): Workload {
  return {
    name: `full of ${from} B, then sets of ${to} B`,
    options: LARGE_PAGES,
    prepare: client => fill(client, Math.ceil((560 * MIB) / (from + 40)), () => from),
    run: client => setMany(client, Math.min(2_000_000, (800 * MIB) / to), 1e9, () => to),
  }
}

function massExpiry(count: number): Workload {
  return {
    name: `${count} items expire in one second`,
    options: { memoryBytes: 2 * GIB },
    prepare(client) {
      const expiresAtS = client.nowS + TTL_S
      fill(client, LIVE_ITEMS, () => USUAL_BYTES)
      for (let i = 0; i < count; i++) client.set(EXPIRING_IDS_FROM + i, SMALL_BYTES, expiresAtS)
    },
    run(client) {
      client.advance(TTL_S)
      getUntilQuiet(client, LIVE_ITEMS)
    },
  }
}

function flush(count: number): Workload {
  return {
    name: `flush_all of ${count} items`,
    options: { memoryBytes: 2 * GIB },
    prepare: client => fill(client, count, () => SMALL_BYTES),
    run(client) {
      for (const shard of client.cache.shards) shard.flush(client.nowS)
      fill(client, LIVE_ITEMS, () => USUAL_BYTES)
      client.advance(SWEPT_S)
      getUntilQuiet(client, LIVE_ITEMS)
    },
  }
}

/** Sets keys 0, 1, ..., with upkeep in between. */
function fill(client: EngineClient, count: number, valueBytes: () => number): void {
  for (let id = 0; id < count; id++) {
    client.set(id, valueBytes())
    client.upkeep()
  }
}

function useEvenly(client: EngineClient, count: number, keys: number): void {
  const random = randomFrom(1)
  for (let i = 0; i < count; i++) {
    const id = Math.floor(random() * keys)
    if (i % 11 === 0) client.set(id, USUAL_BYTES)
    else client.get(id)
    client.upkeep()
  }
}

function setMany(client: EngineClient, count: number, keys: number, valueBytes: () => number) {
  const random = randomFrom(3)
  for (let i = 0; i < count; i++) {
    client.set(Math.floor(random() * keys), valueBytes())
    client.upkeep()
  }
}

function movePages(client: EngineClient, count: number): void {
  const { baseClasses } = client.cache.shards[0].arena
  const random = randomFrom(1)
  for (let i = 0; i < count; i++) {
    client.cache.reassignPage(-1, 1 + Math.floor(random() * baseClasses))
    client.get(Math.floor(random() * FULL))
    client.upkeep()
  }
}

/** Gets until upkeep has reclaimed nothing for QUIET_MS. */
function getUntilQuiet(client: EngineClient, keys: number): void {
  const random = randomFrom(2)
  let changedMs = performance.now()
  for (let before = -1; performance.now() - changedMs < QUIET_MS; ) {
    client.get(Math.floor(random() * keys))
    if (!client.upkeep()) continue
    if (client.itemCount() !== before) changedMs = performance.now()
    before = client.itemCount()
  }
}

/** Sizes from 8 B to 8 KiB, log-uniform. */
function mixed(seed: number): () => number {
  const random = randomFrom(seed)
  return () => Math.floor(8 * 2 ** (random() * 10))
}
