// Every offset in an arena. All other files name words through this one.
//
//   +--------+----------+---------+----------------+-------+-------+-------+-----+---------+---------+-
//   | header | counters | classes | class counters | pages | holds | sizes | map | samples | buckets |
//   +--------+----------+---------+----------------+-------+-------+-------+-----+---------+---------+-
//   then page 0, page 1, ...
//
// header    fixed at creation, then the lock, the clock, CAS, table, pages and holds, and what upkeep
//           does, each group on 64-byte lines of its own
// counters  Float64, one a statistic (exact up to 2^53)
// classes   CLASS_WORDS a slab class: its chunks, then HEAD TAIL COUNT for each LRU list
// pages     the class that owns each page, 0 while nobody does; the first word of a page in the pool
//           names the next one
// holds     two words a slot: the item held and the thread that holds it
// sizes     the histogram of `stats sizes`
// map       a byte for each size of an item in words: the class that it goes to
// samples   a ring of sizes that came, words (fit.ts)
// buckets   Ref of the first item of a chain, NIL = 0
//
// A chunk is an item, the continuation of a long one, or free:
//
//   item          0 CHAIN_NEXT  1 LRU_PREV  2 LRU_NEXT  3 TOUCHED_AT_S  4 VALUE_BYTES  5 CAS  6 META
//                 then, each only if it is needed: SPAN_NEXT (the item spans chunks), EXPIRES_AT_S,
//                 the CAS that a peer chose (low, high), client flags; then key and value
//   continuation  0 SPAN_NEXT  1 SPAN_OWNER  6 META (key bytes 0), then more of the value
//   free          0 FREE_NEXT  1 FREE_PREV  6 META = 0
//   withheld      6 META = META_WITHHELD: free, but its page is about to leave the class
//
//   META          key bytes 0-7 | class 8-13 | list 14-15 | state 16-26 | tag 27-31
//
// CAS is the low word of the arena's CAS sequence: the high word is that of the sequence, or one less
// where the item's low word is above the sequence's. An item that 2^32 stores have left untouched
// seems to change its CAS with that, which costs its next cas an EXISTS; no two versions of an item
// are ever taken for one. What a flush has ended is gone by then (sweep.ts).
//
// Times are seconds on the arena's own clock (clock.ts); 0 in EXPIRES_AT_S is "never".

import assert from 'node:assert/strict'
import { KEY_BYTES_MAX } from '../../bytes/memcached.ts'
import { CLASSES_MAX } from '../limits.ts'

/** Word index of a chunk in its arena; its byte address is `ref << 2`. */
export type Ref = number & { readonly brand: 'Ref' }
export const NIL = 0 as Ref

export const ARENA_MAGIC = 0x6d736c62
export const LAYOUT_VERSION = 2

// Header, words
export const MAGIC = 0
export const VERSION = 1
export const PAGE_WORDS = 2
export const PAGE_COUNT = 3
export const CLASS_COUNT = 4
export const BUCKETS_MAX = 5
export const HOLD_SLOTS = 6
export const SIZE_SLOTS = 7
export const ITEM_BYTES_LIMIT = 8
export const EVICTIONS_ON = 9
export const HASH_SEED_0 = 10
export const HASH_SEED_1 = 11
export const GENERATION = 12
export const RESETS = 13
export const BUCKETS_INITIAL = 14
/** The linked item whose value is being written over; NIL while there is none. */
export const REWRITING = 15

export const LOCK = 16

export const CLOCK_S = 32
export const STARTED_AT_S = 33
/** The thread that does the upkeep; 0 while nobody does. */
export const UPKEEP_HOLDER = 34
/** Of the first arena: the next id to give to a thread that has none of its own. */
export const NEXT_HOLDER = 35

export const CAS_LOW = 48
export const CAS_HIGH = 49
export const FLUSH_AT_S = 50
export const FLUSHED_CAS_LOW = 51
export const FLUSHED_CAS_HIGH = 52
/** -1 where peers see CAS numbers and compare them, 0 where they do not (-C). */
export const CAS_SHOWN = 53
/** The arenas of a cache share the numbers: each begins at its index, in steps of their count. */
export const CAS_STEP = 54
export const CAS_FIRST = 55

export const BUCKET_COUNT = 64
export const BUCKET_MASK = 65
export const ITEM_COUNT = 66
export const PAGES_USED = 67
export const HOLD_FREE = 68
export const HOLD_COUNT = 69

/** Pages that may be in use at once: the memory limit. */
export const PAGE_LIMIT = 70
/** The memory limit of the whole cache as it was asked for, KiB. */
export const MEMORY_LIMIT_KIB = 73
/** Pages that some class has given up: the last one plus one, and how many. */
export const POOL_HEAD = 71
export const POOL_COUNT = 72
/** One bit a class: it has as many chunks free as a page has (slack.ts). Two words. */
export const SLACK = 74
/** The second in which slack could not be had, because what lies on its pages is held. */
export const SLACK_HELD_AT_S = 76

// The crawl: whether crawls are allowed, the one that runs, and what the next one has to know
export const CRAWLER_ON = 80
export const CRAWL_KIND = 81
export const CRAWL_PAGE = 82
export const CRAWL_CHUNK = 83
export const CRAWL_SLEEP_US = 84
export const CRAWL_ITEMS_MAX = 85
// The sweep after a flush: when one is due, 0 for none; the page of the one that runs plus one, or 0
export const SWEEP_AT_S = 86
export const SWEEP_PAGE = 87
export const SWEEP_CHUNK = 88
// The search for dead items when memory is wanted (reap.ts): the second it belongs to, the next page
// to probe, its source of random places, and the page that is being reaped plus one, or 0
export const PROBE_AT_S = 89
export const PROBE_PAGE = 90
export const PROBE_SEED = 91
export const REAP_PAGE = 92
export const REAP_CHUNK = 93
/** Thousandths of standard deviations that two worths must be apart beside the usual ones. */
export const TRADE_CAUTION = 78
/** Goes with TRADE_FROM; 0: any class that evicts. */
export const TRADE_TO = 77
/** Seconds that the faded counts of worth.ts are of, and when it looked last. */
export const WORTH_SPAN_S = 94
export const WORTH_LOOKED_AT_S = 95

// The page that moves from one class to another: its place, its phase and its chunks
export const MOVE_PHASE = 96
/** Chunks given back in [FIRST, END) are withheld from their class; both 0 while no page moves. */
export const MOVE_FIRST = 97
export const MOVE_END = 98
export const MOVE_PAGE = 99
export const MOVE_TO_CLASS = 100
export const MOVE_CHUNK = 101
export const MOVE_USED = 102
export const MOVE_WITHHELD = 103
export const MOVE_BUSY = 104
/** Since when held items keep the page from moving on; 0 while none do. */
export const MOVE_WAITS_SINCE_S = 105
export const MOVE_LAST_BUSY = 106
export const REASSIGN_ON = 107
/** The page plus one whose last move was given up; another one is tried next. */
export const MOVE_GIVEN_UP = 111
/** Pages moved unasked, as memcached's slab_automove; the ratio of ages in thousandths, the window. */
export const AUTOMOVE = 108
export const AUTOMOVE_RATIO = 109
export const AUTOMOVE_WINDOW_S = 110

// Which items go first (lru.ts), and how the lists of a class are balanced
export const EVICTION = 112
export const LRU_HOT_PERCENT = 113
export const LRU_WARM_PERCENT = 114
/** Thousandths. */
export const LRU_HOT_FACTOR = 115
export const LRU_WARM_FACTOR = 116
/** Items that end within so many seconds go to the temporary list; 0 or less for none. */
export const LRU_TEMPORARY_TTL_S = 117
/** Whether upkeep balances lists and starts crawls of its own accord. */
export const MAINTAINER_ON = 118

// The classes: how many are cut at creation, whether others may be, allocations seen
export const BASE_CLASSES = 119
export const FIT_ON = 120
export const FIT_TICK = 121
/** The class that evicted a pageful of its own and asks for a page of another; 0: none. */
export const WANTING_CLASS = 122
/** What classes evicted since upkeep last weighed them (worth.ts): pagefuls, items. */
export const PAGEFULS_EVICTED = 123
export const ITEMS_EVICTED = 124
/** FIT_TICK of the next look at the sizes that came. */
export const FIT_LOOK_AT = 125
/** The class that has just evicted a pageful and may get a page of another (worth.ts); 0: none. */
export const TRADE_DUE = 126
/** The class that gives pages until the next look at what they are worth, and the one that gets them. */
export const TRADE_FROM = 127

export const HEADER_WORDS = 128

// Counters: Float64 indices. `counters` starts at word HEADER_WORDS.
export const COUNTERS_AT = HEADER_WORDS
export const COUNTERS_MAX = 32

// Class descriptors, words
export const CLASSES_AT = COUNTERS_AT + COUNTERS_MAX * 2
export const CLASS_WORDS = 32
export const CLASS_CHUNK_WORDS = 0
export const CLASS_CHUNKS_PER_PAGE = 1
export const CLASS_FREE_HEAD = 2
export const CLASS_FREE_COUNT = 3
export const CLASS_FRESH_REF = 4
export const CLASS_FRESH_COUNT = 5
export const CLASS_PAGE_COUNT = 6
export const CLASS_USED_COUNT = 7
export const CLASS_EVICTED_IDLE_S = 8
/** Items of the class that the running crawl may still look at; 0 where it does not look. */
export const CLASS_CRAWL_LEFT = 9
/** Items evicted since the class last asked for a page of another. */
export const CLASS_EVICTED_RUN = 10
/** What the class did in its last trade of pages (worth.ts): 1 got one, 2 gave one, 0 neither. */
export const CLASS_LAST_TRADE = 11
export const CLASS_LISTS = 12
export const LIST_WORDS = 4
export const LIST_HEAD = 0
export const LIST_TAIL = 1
export const LIST_COUNT = 2
export const LISTS = 4

// LRU lists of a class. Which of them are filled depends on EVICTION.
export const LIST_HOT = 0
export const LIST_WARM = 1
export const LIST_COLD = 2
export const LIST_TEMP = 3

// Class counters: Float64, CLASS_COUNTERS_MAX a class
export const CLASS_COUNTERS_AT = CLASSES_AT + CLASSES_MAX * CLASS_WORDS
export const CLASS_COUNTERS_MAX = 32
export const FIXED_WORDS = CLASS_COUNTERS_AT + CLASSES_MAX * CLASS_COUNTERS_MAX * 2

// Hold slots, words
export const HOLD_WORDS = 2
export const HOLD_REF = 0
export const HOLD_HOLDER = 1

// Item, words
export const ITEM_CHAIN_NEXT = 0
export const ITEM_LRU_PREV = 1
export const ITEM_LRU_NEXT = 2
export const ITEM_TOUCHED_AT_S = 3
export const ITEM_VALUE_BYTES = 4
export const ITEM_CAS = 5
export const ITEM_META = 6
export const ITEM_WORDS = 7
export const ITEM_SPAN_NEXT = 7

// Continuation of a long item, words; META stands where an item has it
export const SPAN_NEXT = 0
export const SPAN_OWNER = 1
export const SPAN_WORDS = ITEM_WORDS

// Free chunk, words
export const FREE_NEXT = 0
export const FREE_PREV = 1

// Fields of META
export const META_KEY_BYTES_MASK = 0xff
export const META_CLASS_SHIFT = 8
export const META_CLASS_MASK = 0x3f
export const META_LIST_SHIFT = 14
export const META_LIST_MASK = 0x3
/** Five bits: of the misses that meet an item in their chain, one in 32 compares its key in vain. */
export const META_TAG_SHIFT = 27
export const META_TAG_MASK = 0x1f
export const META_FREE = 0
export const META_WITHHELD = 1 << META_TAG_SHIFT

// State bits, in place in META. Those of the optional words are shifted down to count them.
export const STATE_FLAGS_BIT = 17
export const STATE_SPANS_BIT = 18
export const STATE_CHOSEN_CAS_BIT = 25
export const STATE_ENDS_BIT = 26
export const STATE_LINKED = 1 << 16
export const STATE_FLAGS = 1 << STATE_FLAGS_BIT
export const STATE_SPANS = 1 << STATE_SPANS_BIT
export const STATE_FETCHED = 1 << 19
export const STATE_ACTIVE = 1 << 20
/** At least one hold slot has it. */
export const STATE_HELD = 1 << 21
/** Out of date, but still served: somebody is to make it anew. */
export const STATE_STALE = 1 << 22
/** A peer was told that it is the one to make it anew. */
export const STATE_CLAIMED = 1 << 23
/** The key came in base64 and goes out so. */
export const STATE_KEY_BINARY = 1 << 24
/** Its CAS was chosen by a peer and stands in two words of its own. */
export const STATE_CHOSEN_CAS = 1 << STATE_CHOSEN_CAS_BIT
/** It has a word for its end. */
export const STATE_ENDS = 1 << STATE_ENDS_BIT

assert(LOCK % 16 === 0 && CLOCK_S % 16 === 0 && CAS_LOW % 16 === 0 && BUCKET_COUNT % 16 === 0)
assert(CRAWLER_ON % 16 === 0 && MOVE_PHASE % 16 === 0 && EVICTION % 16 === 0)
assert(COUNTERS_AT % 2 === 0 && CLASS_COUNTERS_AT % 2 === 0, 'Float64 needs 8-byte alignment')
assert(CLASS_LISTS + LISTS * LIST_WORDS <= CLASS_WORDS)
assert(CLASSES_MAX <= META_CLASS_MASK + 1 && LISTS <= META_LIST_MASK + 1)
assert(KEY_BYTES_MAX <= META_KEY_BYTES_MASK, 'a key length is one byte of META')
assert(ITEM_META === ITEM_WORDS - 1, 'META is the last word: what follows depends on it')
assert(ITEM_SPAN_NEXT === ITEM_WORDS, 'the optional words follow META')

export function metaKeyBytes(meta: number): number {
  return meta & META_KEY_BYTES_MASK
}

export function metaClass(meta: number): number {
  return (meta >>> META_CLASS_SHIFT) & META_CLASS_MASK
}

export function metaList(meta: number): number {
  return (meta >>> META_LIST_SHIFT) & META_LIST_MASK
}

export function metaTag(meta: number): number {
  return meta >>> META_TAG_SHIFT
}

/** First word of a class's descriptor. */
export function classAt(classId: number): number {
  return CLASSES_AT + classId * CLASS_WORDS
}

/** First word of one LRU list of a class. */
export function listAt(classId: number, list: number): number {
  return CLASSES_AT + classId * CLASS_WORDS + CLASS_LISTS + list * LIST_WORDS
}
