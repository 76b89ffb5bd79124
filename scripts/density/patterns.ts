// Patterns of `bench:density --shift`: what is stored changes, and what counts is what is kept of
// it. A pattern knows a cache only as a Target, so it runs against servers and against the engine
// alike.

import type { Entry } from '../bench/caller.ts'
import { randomFrom } from '../bench/requests.ts'

/** A cache that a pattern runs against. */
export interface Target {
  set(entries: readonly Entry[], verb?: 'set' | 'append'): Promise<unknown>
  /** For each key whether it was a hit. */
  get(keys: readonly string[]): Promise<boolean[]>
  remove(keys: readonly string[]): Promise<unknown>
  flush(): Promise<unknown>
  wait(seconds: number): Promise<unknown>
}

export interface Pattern {
  name: string
  /** Further options of the servers. */
  flags?: readonly string[]
  /** What is kept, in items, or in hundredths of a percent where hits count. */
  run(target: Target, memoryBytes: number): Promise<number>
}

const BATCH_BYTES = 128 * 1024
const BATCH_ITEMS_MAX = 200
const OLD_BYTES = 11_000
const NEW_BYTES = 4096
const HALF_BYTES = 6000
const LARGE_BYTES = 1_000_000
/** Old items for one memory, with what is lost at the ends of pages. */
const FULL = 1.1
const SEED = 1

const EMPTIED: Record<string, (target: Target, olds: readonly string[]) => Promise<void>> = {
  flushed: async target => {
    await target.flush()
  },
  expired: async target => {
    await target.wait(3)
  },
  replaced: async (target, olds) => {
    await store(
      target,
      olds.map(key => entryOf(key, 8)),
    )
  },
}

export const PATTERNS: Pattern[] = [
  { name: 'every other deleted, then smaller', run: deleted },
  { name: 'every other deleted, -M', flags: ['-M'], run: deleted },
  ...Object.keys(EMPTIED).map(how => ({
    name: `${how}, then smaller`,
    run: (target: Target, bytes: number) => emptied(target, bytes, how),
  })),
  {
    name: 'flushed, -M',
    flags: ['-M'],
    run: (target, bytes) => emptied(target, bytes, 'flushed'),
  },
  { name: 'sizes in bursts', run: bursts },
  { name: 'growth by append', run: appends },
  { name: 'many classes of few items', run: manyClasses },
  { name: 'large and small: small kept', run: (target, bytes) => mixed(target, bytes, false) },
  { name: 'large and small: large kept', run: (target, bytes) => mixed(target, bytes, true) },
  { name: 'short TTLs: lasting ones kept', run: shortTtls },
  {
    name: 'from 100 bytes to 10 KB: hits',
    run: (target, bytes) => turned(target, bytes, 100, 10_000),
  },
  {
    name: 'from 10 KB to 100 bytes: hits',
    run: (target, bytes) => turned(target, bytes, 10_000, 100),
  },
  { name: 'four equally hot classes: hits', run: fourHot },
]

async function deleted(target: Target, memoryBytes: number): Promise<number> {
  const olds = await fill(target, 'old', memoryBytes * FULL, OLD_BYTES)
  await each(
    olds.filter((_, i) => i % 2 === 0),
    keys => target.remove(keys),
  )
  const news = await fill(target, 'new', memoryBytes * 0.6, HALF_BYTES)
  return (await count(target, olds)) + (await count(target, news))
}

async function emptied(target: Target, memoryBytes: number, how: string): Promise<number> {
  const exptime = how === 'expired' ? 1 : 0
  const olds = await fill(target, 'old', memoryBytes * FULL, OLD_BYTES, exptime)
  await EMPTIED[how](target, olds)
  return await count(target, await fill(target, 'new', memoryBytes * 1.5, NEW_BYTES))
}

/** Of what one memory holds, the last bursts. */
async function bursts(target: Target, memoryBytes: number): Promise<number> {
  const keys: string[] = []
  for (let burst = 0; burst < 12; burst++) {
    const length = burst % 2 === 0 ? 500 : HALF_BYTES
    for (const key of await fill(target, `burst${burst}-`, memoryBytes * 0.4, length))
      keys.push(key)
  }
  return await count(target, keys)
}

async function appends(target: Target, memoryBytes: number): Promise<number> {
  const step = 1500
  const keys = await fill(target, 'grown', (memoryBytes / 20) * 1.2, step)
  for (let length = 2 * step; length <= 20 * step; length += step) {
    await each(keys, some =>
      target.set(
        some.map(key => entryOf(key, step)),
        'append',
      ),
    )
  }
  return await count(target, keys)
}

async function manyClasses(target: Target, memoryBytes: number): Promise<number> {
  const random = randomFrom(SEED)
  const entries: Entry[] = []
  for (let bytes = 0; bytes < memoryBytes * 2; bytes += entries[entries.length - 1].valueBytes) {
    entries.push(entryOf(`k${entries.length}`, Math.floor(100 * 1.23 ** (random() * 40))))
  }
  await store(target, entries)
  return await count(
    target,
    entries.map(({ key }) => key),
  )
}

async function mixed(target: Target, memoryBytes: number, countsLarge: boolean): Promise<number> {
  const large: string[] = []
  const small: string[] = []
  for (let round = 0; round < (memoryBytes * 3) / LARGE_BYTES; round++) {
    large.push(`large${round}`)
    await target.set([entryOf(`large${round}`, LARGE_BYTES)])
    small.push(...(await fill(target, `small${round}-`, LARGE_BYTES / 2, 300)))
  }
  return await count(target, countsLarge ? large : small)
}

/** Items that last, between many that expire soon, of other sizes. */
async function shortTtls(target: Target, memoryBytes: number): Promise<number> {
  const lasting = await fill(target, 'lasting', memoryBytes * 0.4, 1000)
  for (let round = 0; round < 6; round++) {
    await fill(target, `soon${round}-`, memoryBytes * 0.4, round % 2 === 0 ? 300 : HALF_BYTES, 1)
    await target.wait(2.5)
  }
  return await count(target, lasting)
}

/**
 * The hits of one size after another one, while one memory's worth is stored after the first two.
 */
async function turned(target: Target, bytes: number, from: number, to: number): Promise<number> {
  const random = randomFrom(SEED)
  await ask(target, random, [from], bytes * 2)
  await ask(target, random, [to], bytes * 2)
  return await ask(target, random, [to], bytes / 2)
}

async function fourHot(target: Target, memoryBytes: number): Promise<number> {
  const random = randomFrom(SEED)
  const sizes = [100, 400, 1600, 6400]
  await ask(target, random, sizes, memoryBytes * 2)
  return await ask(target, random, sizes, memoryBytes)
}

/**
 * Asks for items of these sizes and stores what misses, until so many bytes were stored, or were
 * asked for five times; the hits, in hundredths of a percent. All items have 1.5 times the memory.
 */
async function ask(
  target: Target,
  random: () => number,
  sizes: readonly number[],
  bytes: number,
): Promise<number> {
  const memoryBytes = bytes
  let stored = 0
  let asked = 0
  let gets = 0
  let hits = 0
  for (let i = 0; stored < bytes && asked < bytes * 5; i++) {
    const length = sizes[i % sizes.length]
    const keys = new Set<string>()
    for (let k = 0; k < 16; k++) {
      const items = (1.5 * memoryBytes) / sizes.length / (length + 60)
      keys.add(`${length}-${Math.floor(random() * random() * items)}`)
    }
    const found = await target.get([...keys])
    const missing = [...keys].filter((_, k) => !found[k]).map(key => entryOf(key, length))
    if (missing.length > 0) await target.set(missing)
    stored += missing.length * (length + 60)
    asked += keys.size * (length + 60)
    gets += keys.size
    hits += keys.size - missing.length
  }
  return Math.round((hits / gets) * 10_000)
}

/** Stores so many bytes of values of one length; their keys. */
async function fill(
  target: Target,
  name: string,
  bytes: number,
  length: number,
  exptime = 0,
): Promise<string[]> {
  const keys = Array.from({ length: Math.floor(bytes / length) }, (_, i) => name + i)
  await store(
    target,
    keys.map(key => entryOf(key, length, exptime)),
  )
  return keys
}

async function store(target: Target, entries: readonly Entry[]): Promise<void> {
  let batch: Entry[] = []
  let bytes = 0
  for (const entry of entries) {
    batch.push(entry)
    bytes += entry.valueBytes
    if (bytes < BATCH_BYTES && batch.length < BATCH_ITEMS_MAX) continue
    await target.set(batch)
    batch = []
    bytes = 0
  }
  if (batch.length > 0) await target.set(batch)
}

async function count(target: Target, keys: readonly string[]): Promise<number> {
  let hits = 0
  await each(keys, async some => {
    hits += (await target.get(some)).filter(hit => hit).length
  })
  return hits
}

async function each(
  keys: readonly string[],
  work: (some: readonly string[]) => Promise<unknown>,
): Promise<void> {
  for (let at = 0; at < keys.length; at += BATCH_ITEMS_MAX) {
    await work(keys.slice(at, at + BATCH_ITEMS_MAX))
  }
}

function entryOf(key: string, valueBytes: number, exptime = 0): Entry {
  return { key, valueBytes, exptime }
}
