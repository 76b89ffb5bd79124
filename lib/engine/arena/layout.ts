// All offsets in an arena. All other files take the names of words from here.
//
// +--------+----------+---------+--------------+-------+-------+-------+-----+---------+---------+
// | header | counters | classes | class counts | pages | holds | sizes | map | samples | buckets |
// +--------+----------+---------+--------------+-------+-------+-------+-----+---------+---------+
// then ghosts, page 0, page 1, ...
//
// header    constants, then lock, clock, CAS, table with pages and holds, and the state of upkeep,
//           each group on its own 64-byte cache lines
// counters  Float64, one per statistic (exact up to 2^53)
// classes   CLASS_WORDS per slab class: its chunks, then HEAD TAIL COUNT for each LRU list
// pages     the class that owns each page, 0 if none; the first word of a page in the pool has the
//           number of the next one
// holds     four words per slot: the item held, the thread that holds it, and what that counts as
// sizes     the histogram of `stats sizes`
// map       a byte for each item size in words: its class
// samples   a ring buffer of requested sizes, words (fit.ts)
// buckets   Ref of the first item of a chain, NIL = 0
// ghosts    16 bits for a key that was evicted (items/ghosts.ts)
//
// A chunk is an item, the continuation of a long item, or free:
//
//  item          0 CHAIN_NEXT  1 LRU_PREV  2 LRU_NEXT  3 TOUCHED  4 VALUE_BYTES  5 CAS  6 META
//                then, only if needed: SPAN_NEXT (the item spans chunks), EXPIRES_AT_S, the CAS
//                that a peer chose (low, high), client flags; then key and value
//  continuation  0 SPAN_NEXT  1 SPAN_OWNER  6 META (key bytes 0), then more of the value
//  free          0 FREE_NEXT  1 FREE_PREV  6 META = 0
//  withheld      6 META = META_WITHHELD: free, but its page is about to leave the class
//
//  META          key bytes 0-7 | class 8-13 | list 14-15 | state 16-26 | tag 27-31
//
// An item has the low word of its CAS. The high word is that of the arena's CAS sequence, or one
// less if the item's low word is above the sequence's. So an item that stays untouched for 2^32
// stores seems to change its CAS, and its next cas gets EXISTS; two versions of an item never have
// the same CAS. Flushed items are removed before that (sweep.ts).
//
// Times are seconds of the arena's clock (clock.ts); 0 in EXPIRES_AT_S means never.

import assert from 'node:assert/strict'
import { KEY_BYTES_MAX } from '../../bytes/memcached.ts'
import { CLASSES_MAX } from '../limits.ts'

/** Word index of a chunk in its arena; its byte address is `ref << 2`. */
export type Ref = number & { readonly brand: 'Ref' }
export const NIL = 0 as Ref

export const ARENA_MAGIC = 0x6d736c62
export const LAYOUT_VERSION = 4

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
/** The linked item whose value is being overwritten; NIL: none. */
export const REWRITING = 15

export const LOCK = 16

export const CLOCK_S = 32
export const STARTED_AT_S = 33
/** The thread that does the upkeep; 0: none. */
export const UPKEEP_HOLDER = 34
/** First arena only: the next id for a thread that has none. */
export const NEXT_HOLDER = 35

export const CAS_LOW = 48
export const CAS_HIGH = 49
export const FLUSH_AT_S = 50
export const FLUSHED_CAS_LOW = 51
export const FLUSHED_CAS_HIGH = 52
/** -1: peers see and compare CAS numbers; 0: they do not (-C). */
export const CAS_SHOWN = 53
/** Arenas share the CAS numbers: each starts at its index, in steps of the arena count. */
export const CAS_STEP = 54
export const CAS_FIRST = 55
/** Memory that peers keep (shares.ts), words: values being sent, values being uploaded. */
export const READS_HELD = 56
export const UPLOADS_HELD = 57
/** Hold slots of uploads. */
export const UPLOAD_SLOTS = 58

// Room that is being made (room.ts, shard.ts), while the operation that needs it lets others have
// the lock: words of the item that found none, or 0; whether room was made for it; chunks of
// ROOM_MADE_FOR that are spoken for; the class of one chunk more, or 0
export const ROOM_WANTED = 59
export const ROOM_WAS_MADE = 60
export const ROOM_CHUNKS = 61
export const ROOM_TAIL = 62
/** Flushes executed so far. */
export const FLUSHES = 63

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
/** The pool of pages: number of its first page plus one, and page count. */
export const POOL_HEAD = 71
export const POOL_COUNT = 72
/** One bit per class: it has at least a page's worth of free chunks (slack.ts). Two words. */
export const SLACK = 74
/** The class that a store has made room in, which gives no page meanwhile; 0: none. */
export const ROOM_MADE_FOR = 79
/** The second in which no slack was available because the items on its pages are held. */
export const SLACK_HELD_AT_S = 76

// The crawl: whether crawls are allowed, state of the current one, settings of the next one
export const CRAWLER_ON = 80
export const CRAWL_KIND = 81
export const CRAWL_PAGE = 82
export const CRAWL_CHUNK = 83
export const CRAWL_SLEEP_US = 84
export const CRAWL_ITEMS_MAX = 85
// The sweep after a flush: when one is due, or 0; the page of the current one plus one, or 0
export const SWEEP_AT_S = 86
export const SWEEP_PAGE = 87
export const SWEEP_CHUNK = 88
// The search for dead items when memory is needed (reap.ts): its second, the next page to probe,
// its random seed, and the page that is being reaped plus one, or 0
export const PROBE_AT_S = 89
export const PROBE_PAGE = 90
export const PROBE_SEED = 91
export const REAP_PAGE = 92
export const REAP_CHUNK = 93
/** Standard deviations added to the least difference of two worths, in thousandths. */
export const TRADE_CAUTION = 78
/** The class that gets pages of TRADE_FROM; 0: any class that evicts. */
export const TRADE_TO = 77
/** Seconds covered by the faded counts of worth.ts, and time of its last comparison. */
export const WORTH_SPAN_S = 94
export const WORTH_LOOKED_AT_S = 95

// The page that moves from one class to another
export const MOVE_PHASE = 96
/** Chunks freed in [FIRST, END) are withheld from their class; both 0: no page moves. */
export const MOVE_FIRST = 97
export const MOVE_END = 98
export const MOVE_PAGE = 99
export const MOVE_TO_CLASS = 100
export const MOVE_CHUNK = 101
export const MOVE_USED = 102
export const MOVE_WITHHELD = 103
export const MOVE_BUSY = 104
/** Since when the move waits for held items; 0: it does not wait. */
export const MOVE_WAITS_SINCE_S = 105
export const MOVE_LAST_BUSY = 106
export const REASSIGN_ON = 107
/** The page whose move was given up last, plus one; another one is tried next. */
export const MOVE_GIVEN_UP = 111
/** Whether an operator ordered the move. */
export const MOVE_ORDERED = 36
/** Settings of slab_automove as in memcached: the mode, the ratio in thousandths, the window. */
export const AUTOMOVE = 108
export const AUTOMOVE_RATIO = 109
export const AUTOMOVE_WINDOW_S = 110

// Which items are evicted first (lru.ts), and how the lists of a class are balanced
export const EVICTION = 112
export const LRU_HOT_PERCENT = 113
export const LRU_WARM_PERCENT = 114
/** In thousandths. */
export const LRU_HOT_FACTOR = 115
export const LRU_WARM_FACTOR = 116
/** Items that expire within this many seconds go to the list TEMP; 0 or less: none do. */
export const LRU_TEMPORARY_TTL_S = 117
/** Whether upkeep balances lists and starts crawls by itself. */
export const MAINTAINER_ON = 118

// The classes: number at creation, whether others may be added, allocations counted
export const BASE_CLASSES = 119
export const FIT_ON = 120
export const FIT_TICK = 121
/** For upkeep: the class that evicted a pageful and asks for a page of another; 0: none. */
export const WANTING_CLASS = 122
/** Evicted since worth.ts last compared the classes: pagefuls, items. */
export const PAGEFULS_EVICTED = 123
export const ITEMS_EVICTED = 124
/** FIT_TICK at which the requested sizes are analysed next. */
export const FIT_LOOK_AT = 125
/** For stores: the class that evicted a pageful and may get a page (worth.ts); 0: none. */
export const TRADE_DUE = 126
/** The class that gives pages until worth.ts compares the classes again; 0: none. */
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
/** Items of the class that the current crawl may still visit; 0: it visits none. */
export const CLASS_CRAWL_LEFT = 9
/** Items evicted since the class last asked for a page. */
export const CLASS_EVICTED_RUN = 10
/** The last trade of the class (worth.ts): 1 got a page, 2 gave one, 0 none yet. */
export const CLASS_LAST_TRADE = 11
export const CLASS_LISTS = 12
/** The share of a class for new items: parts of PROBATION_ONE (ghosts.ts). */
export const CLASS_PROBATION = 28
/** Ghosts that the class made lately: of items of COLD, and of WARM. */
export const CLASS_GHOSTS_COLD = 29
export const CLASS_GHOSTS_WARM = 30
export const LIST_WORDS = 4
export const LIST_HEAD = 0
export const LIST_TAIL = 1
export const LIST_COUNT = 2
export const LISTS = 4

// LRU lists of a class. EVICTION decides which of them are used.
export const LIST_HOT = 0
export const LIST_WARM = 1
export const LIST_COLD = 2
export const LIST_TEMP = 3

// Class counters: Float64, CLASS_COUNTERS_MAX per class
export const CLASS_COUNTERS_AT = CLASSES_AT + CLASSES_MAX * CLASS_WORDS
export const CLASS_COUNTERS_MAX = 32
export const FIXED_WORDS = CLASS_COUNTERS_AT + CLASSES_MAX * CLASS_COUNTERS_MAX * 2

// Hold slots, words
export const HOLD_WORDS = 4
export const HOLD_REF = 0
export const HOLD_HOLDER = 1
/** What the slot counts as in READS_HELD, or in UPLOADS_HELD if it is of an upload; words. */
export const HOLD_SHARE = 2
export const HOLD_IS_UPLOAD = 3

// Item, words
export const ITEM_CHAIN_NEXT = 0
export const ITEM_LRU_PREV = 1
export const ITEM_LRU_NEXT = 2
export const ITEM_TOUCHED = 3
export const ITEM_VALUE_BYTES = 4
export const ITEM_CAS = 5
export const ITEM_META = 6
export const ITEM_WORDS = 7
export const ITEM_SPAN_NEXT = 7

// Continuation of a long item, words; META is at the place where an item has it
export const SPAN_NEXT = 0
export const SPAN_OWNER = 1
export const SPAN_WORDS = ITEM_WORDS

// Free chunk, words
export const FREE_NEXT = 0
export const FREE_PREV = 1

// Fields of TOUCHED: seconds, and a count of uses (items/uses.ts)
export const TOUCHED_SHIFT = 2

// Ghosts (items/ghosts.ts)
export const GHOSTS_PER_SET = 8
export const GHOST_BYTES = 2
export const ITEMS_PER_GHOST = 4
export const PROBATION_ONE = 2 ** 30
export const PROBATION_FIRST = PROBATION_ONE / 10

// Fields of META
export const META_KEY_BYTES_MASK = 0xff
export const META_CLASS_SHIFT = 8
export const META_CLASS_MASK = 0x3f
export const META_LIST_SHIFT = 14
export const META_LIST_MASK = 0x3
/** Five bits: of the other items in a chain, one in 32 has its key compared in vain. */
export const META_TAG_SHIFT = 27
export const META_TAG_MASK = 0x1f
export const META_FREE = 0
export const META_WITHHELD = 1 << META_TAG_SHIFT

// State bits within META. Those of the optional words are shifted down to count them.
export const STATE_FLAGS_BIT = 17
export const STATE_SPANS_BIT = 18
export const STATE_CHOSEN_CAS_BIT = 25
export const STATE_ENDS_BIT = 26
export const STATE_LINKED = 1 << 16
export const STATE_FLAGS = 1 << STATE_FLAGS_BIT
export const STATE_SPANS = 1 << STATE_SPANS_BIT
export const STATE_FETCHED = 1 << 19
export const STATE_ACTIVE = 1 << 20
/** At least one hold slot holds the item. */
export const STATE_HELD = 1 << 21
/** Stale: still served, but a client has to recache it. */
export const STATE_STALE = 1 << 22
/** A client has won the right to recache it. */
export const STATE_CLAIMED = 1 << 23
/** The key is sent in base64, as it was received. */
export const STATE_KEY_BINARY = 1 << 24
/** A peer chose its CAS, which has two words of its own. */
export const STATE_CHOSEN_CAS = 1 << STATE_CHOSEN_CAS_BIT
/** It has the word EXPIRES_AT_S. */
export const STATE_ENDS = 1 << STATE_ENDS_BIT

assert(LOCK % 16 === 0 && CLOCK_S % 16 === 0 && CAS_LOW % 16 === 0 && BUCKET_COUNT % 16 === 0)
assert(CRAWLER_ON % 16 === 0 && MOVE_PHASE % 16 === 0 && EVICTION % 16 === 0)
assert(COUNTERS_AT % 2 === 0 && CLASS_COUNTERS_AT % 2 === 0, 'Float64 needs 8-byte alignment')
assert(CLASS_LISTS + LISTS * LIST_WORDS <= CLASS_PROBATION && CLASS_GHOSTS_WARM < CLASS_WORDS)
assert(UPLOADS_HELD === READS_HELD + 1, 'HOLD_IS_UPLOAD chooses between them')
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

/** First word of the descriptor of a class. */
export function classAt(classId: number): number {
  return CLASSES_AT + classId * CLASS_WORDS
}

/** First word of one LRU list of a class. */
export function listAt(classId: number, list: number): number {
  return CLASSES_AT + classId * CLASS_WORDS + CLASS_LISTS + list * LIST_WORDS
}
