// verify finds damage: each kind is done to a sound arena once, then single bits are flipped at
// random, and verify must notice every time.

import t from 'tap'
import { KIB, MIB } from '../../lib/bytes/units.ts'
import { type Arena, chunkWords, pageOf, pageRef } from '../../lib/engine/arena/arena.ts'
import { ClassCounter, classCounterAt } from '../../lib/engine/arena/counters.ts'
import * as L from '../../lib/engine/arena/layout.ts'
import { NIL, type Ref } from '../../lib/engine/arena/layout.ts'
import { Cache } from '../../lib/engine/cache.ts'
import { Mode } from '../../lib/engine/status.ts'
import { verify } from '../../lib/engine/verify.ts'
import { Peer } from '../support/engine-peer.ts'
import { makeValue } from '../support/engine-values.ts'
import { announceSeed, createRandom, type Random } from '../support/prng.ts'

/** One item of each kind in a sound arena. */
interface Sample {
  arena: Arena
  /** Linked, and not the last of its bucket's chain. */
  chained: Ref
  /** Linked, in the middle of its LRU list. */
  listed: Ref
  spanning: Ref
  continuation: Ref
  unlinked: Ref
  free: Ref
  lastFree: Ref
  heldSlot: number
  classId: number
}

interface Damage {
  name: string
  run(sample: Sample): void
}

const seed = announceSeed(t)

const DAMAGES: Damage[] = [
  { name: 'a bucket that lost its chain', run: s => set(s, bucketWith(s), NIL) },
  { name: 'a bucket that names a free chunk', run: s => set(s, bucketWith(s), s.free) },
  { name: 'a chain cut off', run: s => set(s, s.chained + L.ITEM_CHAIN_NEXT, NIL) },
  { name: 'a chain that bites its tail', run: s => set(s, s.chained, s.chained) },
  { name: 'a chain that leads out of the arena', run: s => set(s, s.chained, 2 ** 30) },
  { name: 'a chain that leads below zero', run: s => set(s, s.chained, -5) },
  { name: 'a key that belongs elsewhere', run: s => add(s, s.listed + L.ITEM_WORDS, 1) },
  { name: 'another tag', run: s => flip(s, s.listed + L.ITEM_META, 1 << L.META_TAG_SHIFT) },
  { name: 'another class in META', run: s => flip(s, s.listed + L.ITEM_META, 1 << 8) },
  { name: 'another list in META', run: s => flip(s, s.listed + L.ITEM_META, 1 << 14) },
  { name: 'another key length', run: s => flip(s, s.listed + L.ITEM_META, 1) },
  {
    name: 'a linked item not marked as linked',
    run: s => flip(s, s.listed + L.ITEM_META, L.STATE_LINKED),
  },
  {
    name: 'an unlinked item marked as linked',
    run: s => flip(s, s.unlinked + L.ITEM_META, L.STATE_LINKED),
  },
  { name: 'an item that says it spans', run: s => flip(s, s.listed + L.ITEM_META, L.STATE_SPANS) },
  {
    name: 'a spanning item not marked as spanning',
    run: s => flip(s, s.spanning + L.ITEM_META, L.STATE_SPANS),
  },
  { name: 'flags that are not there', run: s => flip(s, s.listed + L.ITEM_META, L.STATE_FLAGS) },
  { name: 'an item in use that is marked free', run: s => set(s, s.listed + L.ITEM_META, 0) },
  { name: 'a list cut off', run: s => set(s, s.listed + L.ITEM_LRU_NEXT, NIL) },
  { name: 'a list with another way back', run: s => set(s, s.listed + L.ITEM_LRU_PREV, NIL) },
  { name: 'a list that bites its tail', run: s => set(s, s.listed + L.ITEM_LRU_NEXT, s.listed) },
  { name: 'a list without a head', run: s => set(s, listOf(s) + L.LIST_HEAD, NIL) },
  { name: 'a list with another tail', run: s => set(s, listOf(s) + L.LIST_TAIL, s.listed) },
  { name: 'a list that counts one more', run: s => add(s, listOf(s) + L.LIST_COUNT, 1) },
  { name: 'a list that counts one less', run: s => add(s, listOf(s) + L.LIST_COUNT, -1) },
  { name: 'a free list without a head', run: s => set(s, classOf(s) + L.CLASS_FREE_HEAD, NIL) },
  { name: 'a free list cut off', run: s => set(s, s.free + L.FREE_NEXT, NIL) },
  { name: 'a free list with another way back', run: s => set(s, s.lastFree + L.FREE_PREV, NIL) },
  { name: 'a free list that bites its tail', run: s => set(s, s.lastFree, s.free) },
  { name: 'a free chunk marked as in use', run: s => set(s, s.free + L.ITEM_META, 0x0100) },
  { name: 'more free chunks', run: s => add(s, classOf(s) + L.CLASS_FREE_COUNT, 1) },
  { name: 'no share for new items', run: s => set(s, classOf(s) + L.CLASS_PROBATION, 0) },
  { name: 'fewer ghosts than none', run: s => set(s, classOf(s) + L.CLASS_GHOSTS_WARM, -1) },
  { name: 'fewer used chunks', run: s => add(s, classOf(s) + L.CLASS_USED_COUNT, -1) },
  { name: 'more fresh chunks', run: s => add(s, classOf(s) + L.CLASS_FRESH_COUNT, 1) },
  { name: 'no fresh chunks', run: s => set(s, classOf(s) + L.CLASS_FRESH_COUNT, 0) },
  { name: 'fresh chunks elsewhere', run: moveFresh },
  { name: 'more pages of a class', run: s => add(s, classOf(s) + L.CLASS_PAGE_COUNT, 1) },
  { name: 'a page of another class', run: s => add(s, pageWord(s), 1) },
  { name: 'a page of no class', run: s => set(s, pageWord(s), 0) },
  { name: 'a page of a class there is not', run: s => set(s, pageWord(s), 99) },
  { name: 'more pages than were used', run: s => add(s, L.PAGES_USED, 1) },
  { name: 'fewer pages than were used', run: s => add(s, L.PAGES_USED, -1) },
  { name: 'a continuation of another item', run: s => set(s, s.continuation + 1, s.listed) },
  { name: 'a continuation without an owner', run: s => set(s, s.continuation + 1, NIL) },
  { name: 'a continuation with a key', run: s => flip(s, s.continuation + L.ITEM_META, 7) },
  { name: 'an item that lost its parts', run: s => set(s, s.spanning + L.ITEM_SPAN_NEXT, NIL) },
  { name: 'parts cut off', run: s => set(s, s.continuation + L.SPAN_NEXT, NIL) },
  { name: 'parts that come again', run: s => set(s, s.continuation, s.continuation) },
  { name: 'a value longer than its chunk', run: s => add(s, s.listed + L.ITEM_VALUE_BYTES, 5000) },
  {
    name: 'a value longer than its parts',
    run: s => add(s, s.spanning + L.ITEM_VALUE_BYTES, 90_000),
  },
  { name: 'a value of another length', run: s => add(s, s.listed + L.ITEM_VALUE_BYTES, -1) },
  { name: 'a value of less than nothing', run: s => set(s, s.unlinked + L.ITEM_VALUE_BYTES, -1) },
  { name: 'more items than there are', run: s => add(s, L.ITEM_COUNT, 1) },
  { name: 'fewer items than there are', run: s => add(s, L.ITEM_COUNT, -1) },
  { name: 'more buckets than there are', run: s => add(s, L.BUCKET_COUNT, 64) },
  { name: 'more buckets than there is room for', run: s => add(s, L.BUCKET_COUNT, 1 << 28) },
  { name: 'another mask', run: s => set(s, L.BUCKET_MASK, s.arena.words[L.BUCKET_MASK] >> 1) },
  { name: 'another seed', run: s => add(s, L.HASH_SEED_0, 1) },
  { name: 'a hold too many', run: s => add(s, L.HOLD_COUNT, 1) },
  { name: 'a hold too few', run: s => add(s, L.HOLD_COUNT, -1) },
  { name: 'an item held by nobody', run: s => set(s, slotAt(s) + L.HOLD_HOLDER, 0) },
  { name: 'a hold on nothing', run: s => set(s, slotAt(s) + L.HOLD_REF, NIL) },
  { name: 'a hold on a free chunk', run: s => set(s, slotAt(s) + L.HOLD_REF, s.free) },
  { name: 'a hold on a continuation', run: s => set(s, slotAt(s) + L.HOLD_REF, s.continuation) },
  { name: 'a hold on the middle of an item', run: s => add(s, slotAt(s) + L.HOLD_REF, 3) },
  { name: 'free slots cut off', run: s => set(s, L.HOLD_FREE, -1) },
  { name: 'a slot held and free', run: s => set(s, L.HOLD_FREE, s.heldSlot) },
  { name: 'free slots that begin elsewhere', run: s => set(s, L.HOLD_FREE, 4000) },
  { name: 'free slots beyond the last', run: s => set(s, L.HOLD_FREE, 5000) },
  { name: 'a size counted once more', run: s => add(s, s.arena.sizesAt + 5, 1) },
  { name: 'other bytes requested', run: moreRequested },
]

t.test('a sound arena passes', async t => {
  const sample = createSample()
  verify(sample.arena)
  t.ok(sample.chained && sample.listed && sample.spanning && sample.continuation)
  t.ok(sample.unlinked && sample.free && sample.lastFree)
})

t.test('each damage is noticed', async t => {
  const sample = createSample()
  const saved = sample.arena.words.slice()
  for (const damage of DAMAGES) {
    damage.run(sample)
    t.notSame(firstDifference(sample.arena.words, saved), -1, `${damage.name} changes a word`)
    t.throws(() => verify(sample.arena), damage.name)
    sample.arena.words.set(saved)
  }
  verify(sample.arena)
})

t.test('a flipped bit in any word of the structures is noticed', async t => {
  const random = createRandom(seed)
  const sample = createSample()
  const { arena } = sample
  const saved = arena.words.slice()
  const missed = new Map<string, string>()
  const targets = flipTargets(sample)
  for (let i = 0; i < 2500; i++) {
    const target = random.pick(targets)
    const at = target.at(random)
    const bit = random.pick(target.bits)
    arena.words[at] ^= 1 << bit
    if (!notices(arena)) missed.set(target.name, `word ${at} bit ${bit}, was ${saved[at]}`)
    arena.words[at] = saved[at]
  }
  t.same([...missed], [])
  verify(arena)
})

interface FlipTarget {
  name: string
  at(random: Random): number
  bits: number[]
}

const ALL_BITS = Array.from({ length: 32 }, (_, bit) => bit)
// Bits 19 and 20 record reads, 22 to 24 what peers set; 21 follows from the holds.
const META_BITS = ALL_BITS.filter(bit => bit < 19 || bit > 24)

function flipTargets(sample: Sample): FlipTarget[] {
  return [...targetsInChunks(sample), ...targetsInTables(sample)]
}

function targetsInChunks(sample: Sample): FlipTarget[] {
  const { arena } = sample
  const linked = chunksWhere(arena, meta => (meta & L.STATE_LINKED) !== 0)
  const free = chunksWhere(arena, meta => meta === L.META_FREE)
  const parts = chunksWhere(arena, meta => meta !== 0 && L.metaKeyBytes(meta) === 0)
  const word = (name: string, list: Ref[], offset: number, bits = ALL_BITS): FlipTarget => {
    return { name, bits, at: random => random.pick(list) + offset }
  }
  return [
    word('CHAIN_NEXT', linked, L.ITEM_CHAIN_NEXT),
    word('LRU_PREV', linked, L.ITEM_LRU_PREV),
    word('LRU_NEXT', linked, L.ITEM_LRU_NEXT),
    word('VALUE_BYTES', linked, L.ITEM_VALUE_BYTES),
    word('META of an item', linked, L.ITEM_META, META_BITS),
    word('META of a continuation', parts, L.ITEM_META, META_BITS.slice(0, 14)),
    word('SPAN_NEXT', parts, L.SPAN_NEXT),
    word('SPAN_OWNER', parts, L.SPAN_OWNER),
    word('SPAN_NEXT of the head', [sample.spanning], L.ITEM_SPAN_NEXT),
    word('FREE_NEXT', free, L.FREE_NEXT),
    word('FREE_PREV', free, L.FREE_PREV),
    word('META of a free chunk', free, L.ITEM_META, META_BITS),
  ]
}

function targetsInTables(sample: Sample): FlipTarget[] {
  const { arena } = sample
  const used = classesInUse(arena)
  const descriptor = (name: string, offset: number, bits = ALL_BITS): FlipTarget => {
    return { name, bits, at: random => L.classAt(random.pick(used)) + offset }
  }
  const fixed = (name: string, at: number): FlipTarget => ({ name, bits: ALL_BITS, at: () => at })
  const list = L.CLASS_LISTS + L.LIST_COLD * L.LIST_WORDS
  return [
    descriptor('FREE_HEAD', L.CLASS_FREE_HEAD),
    descriptor('FREE_COUNT', L.CLASS_FREE_COUNT),
    descriptor('FRESH_COUNT', L.CLASS_FRESH_COUNT),
    descriptor('PAGE_COUNT', L.CLASS_PAGE_COUNT),
    descriptor('USED_COUNT', L.CLASS_USED_COUNT),
    descriptor('LIST_HEAD', list + L.LIST_HEAD),
    descriptor('LIST_TAIL', list + L.LIST_TAIL),
    descriptor('LIST_COUNT', list + L.LIST_COUNT),
    fixed('FRESH_REF', classOf(sample) + L.CLASS_FRESH_REF),
    fixed('ITEM_COUNT', L.ITEM_COUNT),
    // With a few more buckets no item may be in a wrong one: such a table is sound.
    { ...fixed('BUCKET_COUNT', L.BUCKET_COUNT), bits: ALL_BITS.slice(6) },
    fixed('BUCKET_MASK', L.BUCKET_MASK),
    fixed('PAGES_USED', L.PAGES_USED),
    fixed('HOLD_FREE', L.HOLD_FREE),
    fixed('HOLD_COUNT', L.HOLD_COUNT),
    fixed('HOLD_REF', slotAt(sample) + L.HOLD_REF),
    {
      name: 'the class of a page',
      bits: ALL_BITS,
      at: random => arena.pagesAt + random.below(arena.pageCount),
    },
    {
      name: 'a bucket',
      bits: ALL_BITS,
      at: random => arena.bucketsAt + random.below(arena.words[L.BUCKET_COUNT]),
    },
    {
      name: 'a free slot',
      bits: ALL_BITS,
      at: random => arena.holdsAt + random.between(10, 4000) * L.HOLD_WORDS + random.below(2),
    },
    {
      name: 'a slot of the sizes',
      bits: ALL_BITS,
      at: random => arena.sizesAt + random.below(arena.words[L.SIZE_SLOTS]),
    },
  ]
}

function createSample(): Sample {
  const peer = createFilledPeer()
  const { arena } = peer.cache.shards[0]
  const { words } = arena
  const linked = chunksWhere(arena, meta => (meta & L.STATE_LINKED) !== 0)
  const find = (test: (ref: Ref) => boolean) => linked.find(test) ?? NIL
  const listed = find(ref => words[ref + 1] !== NIL && words[ref + 2] !== NIL)
  const classId = L.metaClass(words[listed + L.ITEM_META])
  const spanning = find(ref => (words[ref + L.ITEM_META] & L.STATE_SPANS) !== 0)
  const free = words[L.classAt(classId) + L.CLASS_FREE_HEAD] as Ref
  let lastFree = free
  while (words[lastFree] !== NIL) lastFree = words[lastFree] as Ref
  const unlinked = chunksWhere(arena, meta => {
    return L.metaKeyBytes(meta) > 0 && (meta & L.STATE_LINKED) === 0
  })
  return {
    arena,
    chained: find(ref => words[ref + L.ITEM_CHAIN_NEXT] !== NIL && ref !== listed),
    listed,
    spanning,
    continuation: words[spanning + L.ITEM_SPAN_NEXT] as Ref,
    unlinked: unlinked[0],
    free,
    lastFree,
    heldSlot: 0,
    classId,
  }
}

/** An arena with items of three classes, free chunks, a value in flight each way. */
function createFilledPeer(): Peer {
  const options = { memoryBytes: 4 * MIB, itemBytesMax: 256 * KIB, hashpower: 6, trackSizes: true }
  const peer = new Peer(Cache.create(options))
  peer.set('held', makeValue(1, 120))
  peer.hold('held')
  peer.begin(Mode.SET, 'coming', 300)
  for (let i = 0; i < 200; i++) peer.set(`s${i}`, makeValue(i, i % 40))
  for (let i = 0; i < 40; i++) peer.set(`m${i}`, makeValue(i, 2000))
  for (let i = 0; i < 3; i++) peer.set(`l${i}`, makeValue(i, 110_000))
  for (let i = 0; i < 200; i += 3) peer.remove(`s${i}`)
  for (let i = 0; i < 40; i += 3) peer.remove(`m${i}`)
  return peer
}

function chunksWhere(arena: Arena, test: (meta: number) => boolean): Ref[] {
  const { words } = arena
  const found: Ref[] = []
  for (let page = 0; page < words[L.PAGES_USED]; page++) {
    const at = L.classAt(words[arena.pagesAt + page])
    const size = words[at + L.CLASS_CHUNK_WORDS]
    const fresh = words[at + L.CLASS_FRESH_COUNT] > 0 ? words[at + L.CLASS_FRESH_REF] : 0
    let chunk = pageRef(arena, page)
    for (let i = 0; i < words[at + L.CLASS_CHUNKS_PER_PAGE]; i++, chunk = (chunk + size) as Ref) {
      if (chunk === fresh) break
      if (test(words[chunk + L.ITEM_META])) found.push(chunk)
    }
  }
  return found
}

function classesInUse(arena: Arena): number[] {
  const all = Array.from({ length: arena.classCount }, (_, i) => i + 1)
  return all.filter(classId => arena.words[L.classAt(classId) + L.CLASS_PAGE_COUNT] > 0)
}

function notices(arena: Arena): boolean {
  try {
    verify(arena)
    return false
  } catch {
    return true
  }
}

function set({ arena }: Sample, at: number, value: number): void {
  arena.words[at] = value
}

function add({ arena }: Sample, at: number, value: number): void {
  arena.words[at] += value
}

function flip({ arena }: Sample, at: number, bits: number): void {
  arena.words[at] ^= bits
}

function classOf({ classId }: Sample): number {
  return L.classAt(classId)
}

function listOf({ classId }: Sample): number {
  return L.listAt(classId, L.LIST_COLD)
}

function slotAt({ arena, heldSlot }: Sample): number {
  return arena.holdsAt + heldSlot * L.HOLD_WORDS
}

function pageWord({ arena, listed }: Sample): number {
  return arena.pagesAt + pageOf(arena, listed)
}

function bucketWith({ arena }: Sample): number {
  const { words } = arena
  let at = arena.bucketsAt
  while (words[at] === NIL) at++
  return at
}

function moveFresh(sample: Sample): void {
  const at = classOf(sample)
  add(sample, at + L.CLASS_FRESH_REF, -chunkWords(sample.arena, sample.classId))
}

function moreRequested({ arena, classId }: Sample): void {
  arena.counters[classCounterAt(classId, ClassCounter.MEM_REQUESTED)] += 4
}

function firstDifference(words: Int32Array, saved: Int32Array): number {
  for (let at = 0; at < words.length; at++) if (words[at] !== saved[at]) return at
  return -1
}
