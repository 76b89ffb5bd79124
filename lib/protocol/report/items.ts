// `stats items`, `stats slabs` and `stats sizes`: what is in memory, by slab class or size.

import type { Arena } from '../../engine/arena/arena.ts'
import { ClassCounter } from '../../engine/arena/counters.ts'
import * as L from '../../engine/arena/layout.ts'
import { NIL, type Ref } from '../../engine/arena/layout.ts'
import { touchedAtS } from '../../engine/items/uses.ts'
import { SIZE_STEP_BYTES } from '../../engine/limits.ts'
import type { Host } from '../host.ts'
import { type Lines, Sums } from './rows.ts'

export function reportItems(host: Host, lines: Lines): void {
  const sums = new Sums(host)
  const hasLists = host.facts.features.lruMaintainer
  for (let id = 1; id <= sums.classCount(); id++) reportClass(sums, lines, id, hasLists)
}

/** `hasLists`: there are lists besides the cold one, and rows about them. */
function reportClass(sums: Sums, lines: Lines, id: number, hasLists: boolean): void {
  const count = (list: number) => sums.word(L.listAt(id, list) + L.LIST_COUNT)
  const counts = [L.LIST_HOT, L.LIST_WARM, L.LIST_COLD, L.LIST_TEMP].map(count)
  const number = counts.reduce((sum, items) => sum + items)
  if (number === 0) return
  const add = (name: string, value: number) => lines.add(`items:${id}:${name}`, value)
  const of = (counter: number) => sums.ofClass(id, counter)
  const age = (list: number) => sums.max(arena => tailIdleS(arena, id, list))
  const temporary = sums.any(({ words }) => words[L.LRU_TEMPORARY_TTL_S] > 0) === 1
  add('number', number)
  if (hasLists) {
    add('number_hot', counts[L.LIST_HOT])
    add('number_warm', counts[L.LIST_WARM])
    add('number_cold', counts[L.LIST_COLD])
    if (temporary) add('number_temp', counts[L.LIST_TEMP])
    add('age_hot', age(L.LIST_HOT))
    add('age_warm', age(L.LIST_WARM))
  }
  add('age', age(L.LIST_COLD))
  add('mem_requested', of(ClassCounter.MEM_REQUESTED))
  add('evicted', of(ClassCounter.EVICTED))
  add('evicted_nonzero', of(ClassCounter.EVICTED_NONZERO))
  add(
    'evicted_time',
    sums.max(({ words }) => words[L.classAt(id) + L.CLASS_EVICTED_IDLE_S]),
  )
  add('outofmemory', of(ClassCounter.OUT_OF_MEMORY))
  add('tailrepairs', 0)
  add('reclaimed', of(ClassCounter.RECLAIMED))
  add('expired_unfetched', of(ClassCounter.EXPIRED_UNFETCHED))
  add('evicted_unfetched', of(ClassCounter.EVICTED_UNFETCHED))
  if (hasLists) add('evicted_active', of(ClassCounter.EVICTED_ACTIVE))
  add('crawler_reclaimed', of(ClassCounter.CRAWLER_RECLAIMED))
  add('crawler_items_checked', of(ClassCounter.CRAWLER_CHECKED))
  add('lrutail_reflocked', 0)
  if (hasLists) reportMoves(sums, lines, id)
}

function reportMoves(sums: Sums, lines: Lines, id: number): void {
  const add = (name: string, value: number) => lines.add(`items:${id}:${name}`, value)
  const of = (counter: number) => sums.ofClass(id, counter)
  add('moves_to_cold', of(ClassCounter.MOVES_TO_COLD))
  add('moves_to_warm', of(ClassCounter.MOVES_TO_WARM))
  add('moves_within_lru', of(ClassCounter.MOVES_WITHIN_LRU))
  add('direct_reclaims', of(ClassCounter.DIRECT_RECLAIMS))
  const elsewhere = [ClassCounter.HITS_TO_HOT, ClassCounter.HITS_TO_WARM, ClassCounter.HITS_TO_TEMP]
  const [hot, warm, temp] = elsewhere.map(of)
  add('hits_to_hot', hot)
  add('hits_to_warm', warm)
  add('hits_to_cold', Math.max(0, of(ClassCounter.GET_HITS) - hot - warm - temp))
  add('hits_to_temp', temp)
}

/** How long the item at the tail of a list has been idle. */
function tailIdleS({ words }: Arena, classId: number, list: number): number {
  const ref = words[L.listAt(classId, list) + L.LIST_TAIL] as Ref
  return ref === NIL ? 0 : Math.max(0, words[L.CLOCK_S] - touchedAtS(words, ref))
}

export function reportSlabs(host: Host, lines: Lines): void {
  const sums = new Sums(host)
  const arenas = host.cache.shards.map(shard => shard.arena)
  let active = 0
  for (let id = 1; id <= sums.classCount(); id++) {
    const at = L.classAt(id)
    const pages = sums.word(at + L.CLASS_PAGE_COUNT)
    if (pages === 0) continue
    active++
    const add = (name: string, value: number) => lines.add(`${id}:${name}`, value)
    const of = (counter: number) => sums.ofClass(id, counter)
    // Each arena fits classes of its own (fit.ts): chunk sizes are those of the arena with most
    // pages.
    const pagesIn = ({ words }: Arena) => words[at + L.CLASS_PAGE_COUNT]
    const { words } = arenas.reduce((a, b) => (pagesIn(b) > pagesIn(a) ? b : a))
    const chunks = sums.over(arena => pagesIn(arena) * arena.words[at + L.CLASS_CHUNKS_PER_PAGE])
    const used = sums.word(at + L.CLASS_USED_COUNT)
    add('chunk_size', words[at + L.CLASS_CHUNK_WORDS] * 4)
    add('chunks_per_page', words[at + L.CLASS_CHUNKS_PER_PAGE])
    add('total_pages', pages)
    add('total_chunks', chunks)
    add('used_chunks', used)
    add('free_chunks', chunks - used)
    add('free_chunks_end', 0)
    add('get_hits', of(ClassCounter.GET_HITS))
    add('cmd_set', of(ClassCounter.SET_CMDS))
    add('delete_hits', of(ClassCounter.DELETE_HITS))
    add('incr_hits', of(ClassCounter.INCR_HITS))
    add('decr_hits', of(ClassCounter.DECR_HITS))
    add('cas_hits', of(ClassCounter.CAS_HITS))
    add('cas_badval', of(ClassCounter.CAS_BADVAL))
    add('touch_hits', of(ClassCounter.TOUCH_HITS))
  }
  lines.add('active_slabs', active)
  const pages = sums.word(L.PAGES_USED) - sums.word(L.POOL_COUNT)
  lines.add('total_malloced', pages * arenas[0].pageWords * 4)
}

/** Sizes are counted from the start or not at all: their memory is reserved with the arenas. */
export function refuseSizes({ cache }: Host, lines: Lines): void {
  const counts = cache.shards[0].arena.words[L.SIZE_SLOTS] > 0
  lines.add('sizes_status', counts ? 'enabled' : 'error')
  if (!counts) lines.add('sizes_error', 'start_with_track_sizes')
}

export function reportSizes({ cache }: Host, lines: Lines): void {
  const slots = cache.shards[0].arena.words[L.SIZE_SLOTS]
  if (slots === 0) {
    lines.add('sizes_status', 'disabled')
    return
  }
  for (let slot = 0; slot < slots; slot++) {
    let count = 0
    for (const { arena } of cache.shards) count += arena.words[arena.sizesAt + slot]
    if (count > 0) lines.add(String(slot * SIZE_STEP_BYTES), count)
  }
}
