// Walks an arena and asserts every invariant: in tests, in fuzzing, and after a thread died inside
// the lock. Assumes the lock. Throws an AssertionError that says what is wrong.

import assert from 'node:assert/strict'
import { type Arena, chunkWords, pageOf, pageRef } from './arena/arena.ts'
import { ClassCounter, classCounterAt } from './arena/counters.ts'
import { tagOf } from './arena/hash.ts'
import * as L from './arena/layout.ts'
import { NIL, type Ref } from './arena/layout.ts'
import { classFor, isMoving, usedChunksIn } from './chunks/slabs.ts'
import { hasSlack, isSlackNoted } from './chunks/slack.ts'
import { isHeld, OWN_SLOT } from './items/holds.ts'
import { itemBytes, itemTotalBytes, nextChunk, sizeSlot } from './items/item.ts'
import { isKept } from './items/keeps.ts'
import { bucketOf, hashOfItem } from './items/table.ts'
import { MovePhase } from './room/moves.ts'

/** What the walk over the pages found; arrays are by class. */
interface Census {
  used: number[]
  free: number[]
  withheld: number[]
  linked: number[]
  memRequested: number[]
  continuations: number
  reachable: number
  held: number
  /** Chunks of pages that are kept. */
  kept: number
  sizes: Map<number, number>
}

export function verify(arena: Arena): void {
  const census = walkPages(arena)
  verifyMove(arena, census)
  verifyMap(arena)
  verifyClasses(arena, census)
  verifyTable(arena, census)
  verifyHolds(arena, census)
  verifySizes(arena, census)
}

function walkPages(arena: Arena): Census {
  const { words } = arena
  const zeros = () => new Array<number>(arena.classCount + 1).fill(0)
  const census: Census = {
    used: zeros(),
    free: zeros(),
    withheld: zeros(),
    linked: zeros(),
    memRequested: zeros(),
    continuations: 0,
    reachable: 0,
    held: 0,
    kept: 0,
    sizes: new Map(),
  }
  const pages = zeros()
  assert(words[L.PAGES_USED] <= arena.pageCount, 'more pages used than there are')
  for (let page = 0; page < arena.pageCount; page++) {
    const classId = words[arena.pagesAt + page]
    if (classId < 0) {
      census.kept -= classId
      continue
    }
    if (page >= words[L.PAGES_USED]) {
      assert.equal(classId, 0, 'a page beyond the last one used has a class')
      continue
    }
    assert(classId >= 0 && classId <= arena.classCount, `page ${page} has class ${classId}`)
    pages[classId]++
    if (classId === 0) continue
    walkPage(arena, page, classId, census)
  }
  for (let classId = 1; classId <= arena.classCount; classId++) {
    const count = words[L.classAt(classId) + L.CLASS_PAGE_COUNT]
    assert.equal(count, pages[classId], `pages of class ${classId}`)
  }
  assert.equal(census.continuations, census.reachable, 'continuations belong to one item each')
  verifyPool(arena, pages[0])
  return census
}

/** Used pages without a class are in the pool, or being taken from it. */
function verifyPool(arena: Arena, unowned: number): void {
  const { words } = arena
  const pooled = new Set<number>()
  for (let page = words[L.POOL_HEAD] - 1; page >= 0; ) {
    assert(page < words[L.PAGES_USED], `page ${page} of the pool was used`)
    assert.equal(words[arena.pagesAt + page], 0, `page ${page} of the pool has no class`)
    assert(!pooled.has(page), 'the pool has no end')
    pooled.add(page)
    page = words[pageRef(arena, page)] - 1
  }
  assert.equal(pooled.size, words[L.POOL_COUNT], 'pages of the pool')
  const page = words[L.MOVE_PAGE]
  const between = words[L.MOVE_PHASE] === MovePhase.SETTLE && words[arena.pagesAt + page] === 0
  assert(!between || !pooled.has(page), 'the page that leaves the pool has left it')
  assert.equal(unowned, pooled.size + (between ? 1 : 0), 'pages of no class')
  assert(words[L.PAGE_LIMIT] <= arena.pageCount, 'the limit is within what is reserved')
}

function verifyMove(arena: Arena, census: Census): void {
  const { words } = arena
  const phase = words[L.MOVE_PHASE]
  const page = words[L.MOVE_PAGE]
  const classId = words[arena.pagesAt + page]
  const moves = phase !== MovePhase.NONE && classId !== 0
  const withholds = moves && phase !== MovePhase.UNDO
  const first = withholds ? pageRef(arena, page) : 0
  assert(phase >= MovePhase.NONE && phase <= MovePhase.UNDO, 'the phase of the move')
  assert.equal(words[L.MOVE_FIRST], first, 'chunks are withheld from the first of the moving page')
  assert.equal(words[L.MOVE_END], withholds ? first + arena.pageWords : 0, 'to its last')
  const toClass = words[L.MOVE_TO_CLASS]
  assert(toClass >= 0 && toClass <= arena.classCount, 'the class that a page moves to')
  const withheld = census.withheld.reduce((sum, n) => sum + n, 0)
  if (moves) {
    assert(page < words[L.PAGES_USED], 'the page that moves was used')
    assert.equal(withheld, words[L.MOVE_WITHHELD], 'chunks withheld')
    assert.equal(withheld, census.withheld[classId], 'withheld chunks are of the moving class')
    const perPage = words[L.classAt(classId) + L.CLASS_CHUNKS_PER_PAGE]
    assert(words[L.MOVE_USED] >= 0 && words[L.MOVE_USED] <= perPage, 'chunks of the moving page')
    assert(words[L.MOVE_CHUNK] >= 0 && words[L.MOVE_CHUNK] <= perPage, 'the next chunk to move')
    if (phase === MovePhase.SETTLE) assert.equal(withheld, words[L.MOVE_USED], 'it is empty')
    census.withheld[classId] += perPage - words[L.MOVE_USED]
  } else {
    assert.equal(withheld, 0, 'nothing is withheld while nothing moves')
  }
}

function walkPage(arena: Arena, page: number, classId: number, census: Census): void {
  const { words } = arena
  const at = L.classAt(classId)
  const inUse = usedChunksIn(arena, page)
  let chunk = pageRef(arena, page)
  for (let i = 0; i < inUse; i++, chunk = (chunk + words[at + L.CLASS_CHUNK_WORDS]) as Ref) {
    const meta = words[chunk + L.ITEM_META]
    if (meta === L.META_FREE) {
      census.free[classId]++
      const evacuated = isMoving(arena, page) && words[L.MOVE_PHASE] === MovePhase.EVACUATE
      assert(!evacuated, `chunk ${chunk} of the page that moves is withheld`)
      continue
    }
    if (meta === L.META_WITHHELD) {
      assert(isMoving(arena, page), `chunk ${chunk} is withheld in a page that moves`)
      census.withheld[classId]++
      continue
    }
    assert.equal(L.metaClass(meta), classId, `chunk ${chunk} is of its page's class`)
    census.used[classId]++
    if (L.metaKeyBytes(meta) > 0) countItem(arena, chunk, classId, census)
    else census.continuations++
  }
}

function countItem(arena: Arena, ref: Ref, classId: number, census: Census): void {
  const { words } = arena
  const meta = words[ref + L.ITEM_META]
  const linked = (meta & L.STATE_LINKED) !== 0
  assert(linked || isHeld(arena, ref), `item ${ref} is neither linked nor held`)
  if (isHeld(arena, ref)) census.held++
  let room = words[L.classAt(classId) + L.CLASS_CHUNK_WORDS] * 4
  if ((meta & L.STATE_SPANS) !== 0) room -= 4
  for (let chunk = nextChunk(arena, ref); chunk !== NIL; chunk = nextChunk(arena, chunk)) {
    const partMeta = words[chunk + L.ITEM_META]
    assert.equal(words[chunk + L.SPAN_OWNER], ref, `continuation ${chunk} knows its owner`)
    assert.equal(L.metaKeyBytes(partMeta), 0, `continuation ${chunk} is no item`)
    room += (words[L.classAt(L.metaClass(partMeta)) + L.CLASS_CHUNK_WORDS] - L.SPAN_WORDS) * 4
    census.reachable++
    assert(census.reachable <= arena.pageCount * arena.pageWords, 'a chain of chunks has no end')
  }
  const valueBytes = words[ref + L.ITEM_VALUE_BYTES]
  const bytes = itemBytes(meta, valueBytes)
  assert(valueBytes >= 0 && bytes <= room, `item ${ref} fits its chunks`)
  if (!linked) return
  census.linked[classId]++
  census.memRequested[classId] += itemTotalBytes(arena, ref)
  if (words[L.SIZE_SLOTS] === 0) return
  const slot = sizeSlot(arena, ref)
  census.sizes.set(slot, (census.sizes.get(slot) ?? 0) + 1)
}

/** Every size goes to a class whose chunks are large enough. */
function verifyMap(arena: Arena): void {
  for (let size = chunkWords(arena, arena.baseClasses); size > 0; size--) {
    const classId = classFor(arena, size)
    const fits = classId > 0 && classId <= arena.classCount && chunkWords(arena, classId) >= size
    assert(fits, `items of ${size} words go to class ${classId}`)
  }
}

function verifyClasses(arena: Arena, census: Census): void {
  const { words, counters } = arena
  for (let classId = 1; classId <= arena.classCount; classId++) {
    const at = L.classAt(classId)
    const used = words[at + L.CLASS_USED_COUNT]
    const free = words[at + L.CLASS_FREE_COUNT]
    assert.equal(used, census.used[classId], `used chunks of class ${classId}`)
    assert.equal(free, census.free[classId], `free chunks of class ${classId}`)
    const total = words[at + L.CLASS_PAGE_COUNT] * words[at + L.CLASS_CHUNKS_PER_PAGE]
    const unused = free + words[at + L.CLASS_FRESH_COUNT] + census.withheld[classId]
    assert.equal(used + unused, total, `chunks of class ${classId}`)
    assert(!hasSlack(arena, classId) || isSlackNoted(arena, classId), `slack of class ${classId}`)
    verifyFresh(arena, classId)
    verifyGhosts(arena, classId)
    verifyFreeList(arena, classId)
    let listed = 0
    for (let list = 0; list < L.LISTS; list++) listed += verifyList(arena, classId, list)
    assert.equal(listed, census.linked[classId], `every linked item of class ${classId} is listed`)
    const requested = counters[classCounterAt(classId, ClassCounter.MEM_REQUESTED)]
    assert.equal(requested, census.memRequested[classId], `mem_requested of class ${classId}`)
  }
}

function verifyFresh(arena: Arena, classId: number): void {
  const { words } = arena
  const at = L.classAt(classId)
  const count = words[at + L.CLASS_FRESH_COUNT]
  if (count === 0) return
  const ref = words[at + L.CLASS_FRESH_REF] as Ref
  const page = pageOf(arena, ref)
  const used = words[at + L.CLASS_CHUNKS_PER_PAGE] - count
  assert.equal(words[arena.pagesAt + page], classId, `fresh chunks of class ${classId} are its own`)
  const first = pageRef(arena, page) + used * words[at + L.CLASS_CHUNK_WORDS]
  assert(used >= 0 && ref === first, `fresh chunks of class ${classId} end with their page`)
}

/** What the ghosts of a class have taught it. The ghosts themselves are hints: none is wrong. */
function verifyGhosts({ words }: Arena, classId: number): void {
  const at = L.classAt(classId)
  const share = words[at + L.CLASS_PROBATION]
  assert(share > 0 && share < L.PROBATION_ONE, `share for new items of class ${classId}`)
  assert(words[at + L.CLASS_GHOSTS_COLD] >= 0, `ghosts of new items of class ${classId}`)
  assert(words[at + L.CLASS_GHOSTS_WARM] >= 0, `ghosts of used items of class ${classId}`)
}

function verifyFreeList(arena: Arena, classId: number): void {
  const { words } = arena
  const at = L.classAt(classId)
  let count = 0
  let prev = NIL
  for (let ref = words[at + L.CLASS_FREE_HEAD] as Ref; ref !== NIL; ) {
    assert.equal(words[ref + L.ITEM_META], L.META_FREE, `free chunk ${ref} is free`)
    assert.equal(words[ref + L.FREE_PREV], prev, `free chunk ${ref} is linked both ways`)
    assert(++count <= words[at + L.CLASS_FREE_COUNT], `free list of class ${classId} is too long`)
    prev = ref
    ref = words[ref + L.FREE_NEXT] as Ref
  }
  assert.equal(count, words[at + L.CLASS_FREE_COUNT], `length of free list of class ${classId}`)
}

function verifyList(arena: Arena, classId: number, list: number): number {
  const { words } = arena
  const at = L.listAt(classId, list)
  let count = 0
  let prev = NIL
  for (let ref = words[at + L.LIST_HEAD] as Ref; ref !== NIL; ) {
    const meta = words[ref + L.ITEM_META]
    assert((meta & L.STATE_LINKED) !== 0, `listed item ${ref} is linked`)
    assert.equal(L.metaClass(meta), classId, `listed item ${ref} is of the list's class`)
    assert.equal(L.metaList(meta), list, `listed item ${ref} names its list`)
    assert.equal(words[ref + L.ITEM_LRU_PREV], prev, `listed item ${ref} is linked both ways`)
    assert(++count <= words[at + L.LIST_COUNT], `list ${list} of class ${classId} is too long`)
    prev = ref
    ref = words[ref + L.ITEM_LRU_NEXT] as Ref
  }
  assert.equal(words[at + L.LIST_TAIL], prev, `tail of list ${list} of class ${classId}`)
  assert.equal(count, words[at + L.LIST_COUNT], `length of list ${list} of class ${classId}`)
  return count
}

function verifyTable(arena: Arena, census: Census): void {
  const { words } = arena
  const buckets = words[L.BUCKET_COUNT]
  const mask = words[L.BUCKET_MASK]
  assert(buckets <= words[L.BUCKETS_MAX] && buckets <= mask + 1 && buckets > mask >> 1, 'buckets')
  let count = 0
  for (let bucket = 0; bucket < buckets; bucket++) {
    const at = arena.bucketsAt + bucket
    for (let ref = words[at] as Ref; ref !== NIL; ref = words[ref + L.ITEM_CHAIN_NEXT] as Ref) {
      const meta = words[ref + L.ITEM_META]
      const hash = hashOfItem(arena, ref)
      assert((meta & L.STATE_LINKED) !== 0, `item ${ref} in the table is linked`)
      assert.equal(bucketOf(arena, hash), at, `item ${ref} is in its bucket`)
      assert.equal(L.metaTag(meta), tagOf(hash), `item ${ref} has its tag`)
      assert(++count <= words[L.ITEM_COUNT], 'the table has more items than it counts')
    }
  }
  const linked = census.linked.reduce((sum, n) => sum + n, 0)
  assert.equal(count, words[L.ITEM_COUNT], 'items in the table')
  assert.equal(count, linked, 'every linked item is in the table')
}

function verifyHolds(arena: Arena, census: Census): void {
  const { words } = arena
  let held = 0
  let kept = 0
  let uploads = 0
  const shares = [0, 0]
  const items = new Set<Ref>()
  for (let slot = 0; slot <= OWN_SLOT; slot++) {
    const at = arena.holdsAt + slot * L.HOLD_WORDS
    if (words[at + L.HOLD_HOLDER] === 0) continue
    if (slot !== OWN_SLOT) held++
    uploads += words[at + L.HOLD_IS_UPLOAD]
    shares[words[at + L.HOLD_IS_UPLOAD]] += words[at + L.HOLD_SHARE]
    const ref = words[at + L.HOLD_REF] as Ref
    if (isKept(arena, slot)) {
      for (let chunk = ref; chunk !== NIL; chunk = nextChunk(arena, chunk)) kept++
      continue
    }
    assert(isItem(arena, ref) && isHeld(arena, ref), `slot ${slot} holds an item`)
    items.add(ref)
  }
  assert.equal(held, words[L.HOLD_COUNT], 'holds')
  assert.equal(uploads, words[L.UPLOAD_SLOTS], 'holds of uploads')
  assert.deepEqual(shares, [words[L.READS_HELD], words[L.UPLOADS_HELD]], 'memory held')
  assert.equal(kept, census.kept, 'chunks of items held since before the arena was emptied')
  assert.equal(items.size, census.held, 'items that say they are held')
  let free = 0
  for (let slot = words[L.HOLD_FREE]; slot !== -1; free++) {
    const at = arena.holdsAt + slot * L.HOLD_WORDS
    assert.equal(words[at + L.HOLD_HOLDER], 0, `free slot ${slot} holds nothing`)
    assert(free < words[L.HOLD_SLOTS], 'the chain of free slots has no end')
    slot = words[at + L.HOLD_REF]
  }
  assert.equal(held + free, words[L.HOLD_SLOTS], 'slots')
}

/** Whether `ref` is the head chunk of an item. */
function isItem(arena: Arena, ref: Ref): boolean {
  const { words } = arena
  const page = pageOf(arena, ref)
  if (page < 0 || page >= words[L.PAGES_USED]) return false
  const classId = words[arena.pagesAt + page]
  const meta = words[ref + L.ITEM_META]
  const offset = ref - pageRef(arena, page)
  if (offset % words[L.classAt(classId) + L.CLASS_CHUNK_WORDS] !== 0) return false
  return L.metaClass(meta) === classId && L.metaKeyBytes(meta) > 0
}

function verifySizes(arena: Arena, census: Census): void {
  for (let slot = 0; slot < arena.words[L.SIZE_SLOTS]; slot++) {
    const count = arena.words[arena.sizesAt + slot]
    assert.equal(count, census.sizes.get(slot) ?? 0, `items in size slot ${slot}`)
  }
}
