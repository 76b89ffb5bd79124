// Bounds that several files of the engine share. A bound with one reader is in the file that reads
// it.

import { GIB, KIB, MIB } from '../bytes/units.ts'

/** The eviction rules; the place of a name is its value in an arena (items/rules.ts). */
export const EVICTIONS = ['lru', 'segmented', 'worth'] as const
export type EvictionName = (typeof EVICTIONS)[number]

/** Data bytes of one arena. Word indices and byte addresses stay small integers below 2 GiB. */
export const ARENA_DATA_BYTES_MAX = 1536 * MIB

/** Bytes of a whole arena, its tables included. */
export const ARENA_BYTES_MAX = 2 * GIB
export const ARENA_DATA_BYTES_MIN = 4 * MIB
export const ARENAS_MAX = 1024

/**
 * A page is about 1/256 of its arena within these bounds, so that small arenas have all classes.
 */
export const PAGE_BYTES_MIN = 64 * KIB
export const PAGE_BYTES_MAX = MIB
export const PAGES_PER_ARENA_MIN = 256

/** Chunks in a page of the largest class; longer items span several chunks. */
export const LARGEST_CHUNKS_PER_PAGE = 2

/** Slab classes are numbered 1..CLASSES_MAX - 1, as in memcached. */
export const CLASSES_MAX = 64

/**
 * Items with longer values have a word for their expiry even without a TTL: adding it would copy
 * them.
 */
export const ENDLESS_VALUE_BYTES_MAX = 4 * KIB

/**
 * Sampled sizes from which a fitted class is chosen, and allocations from one sample to the next.
 */
export const FIT_SAMPLES = 256
export const FIT_EVERY = 8

/** Buckets of empty hash tables in all arenas together, as a power of two (memcached: 16). */
export const HASHPOWER_DEFAULT = 16
export const HASHPOWER_MIN = 6

/** Items at the cold end of a list that are tried in search of a victim. */
export const VICTIM_TRIES_MAX = 50

/**
 * What values being uploaded may keep of an arena, and values being sent, beside one more of each
 * (items/shares.ts); and their shares of its hold slots.
 */
export const UPLOADS_SHARE = 1 / 4
export const READS_SHARE = 1 / 2
export const UPLOADS_SLOTS_SHARE = 1 / 2
export const READS_SLOTS_SHARE = 3 / 4

/**
 * Step and number of slots of the histogram of `-o track_sizes`; longer items count in the last.
 */
export const SIZE_STEP_BYTES = 32
export const SIZE_SLOTS_MAX = 32768

/** One turn of upkeep: longest work, and when the next one comes while there is more to do. */
export const UPKEEP_TURN_MS_MAX = 0.3
export const UPKEEP_BUSY_MS = 2

/** When it comes while classes evict, while nothing is to do, and at the latest. */
export const UPKEEP_PRESSED_MS = 10
export const UPKEEP_IDLE_MS = 100
export const UPKEEP_IDLE_MS_MAX = 500

/** Longest rest between two turns of a crawl, microseconds. */
export const CRAWL_SLEEP_US_MAX = 1_000_000

/** Seconds from a flush to the sweep of its items, and items that one step of a sweep frees. */
export const SWEEP_WAIT_S = 5
export const SWEEP_STEP_RECLAIMS_MAX = 64

/**
 * Pages that a class keeps when others want one, and spare pages above which it gives one to the
 * pool.
 */
export const AUTOMOVE_PAGES_MIN = 2
export const AUTOMOVE_SPARE_PAGES = 2.5

/** Longest window over which ages and evictions are watched, seconds. */
export const AUTOMOVE_WINDOW_S_MAX = 300

/** Spins before a thread sleeps on an arena's lock, the longest sleep, and when it gives up. */
export const LOCK_SPINS_MAX = 200
export const LOCK_SLEEP_MS_MAX = 50
export const LOCK_WAIT_MS_MAX = 30_000

/** How often each thread ticks the arenas' clocks, which count whole seconds. */
export const CLOCK_TICK_MS = 200

/** Keys whose items are prefetched together before their requests run. */
export const PREFETCH_KEYS_MAX = 32

/** Steps towards room that a request waits for, while others may have the lock in between. */
export const ROOM_STEPS_MAX = 16_384

/**
 * Pages that it gives up, because some of their items are held, before it searches free memory no
 * more, and before it is refused.
 */
export const ROOM_GIVEN_UP_MAX = 8
export const ROOM_REFUSED_MIN = 32

/** How long upkeep waits for the lock of an arena before it leaves it to the next turn. */
export const UPKEEP_LOCK_WAIT_MS_MAX = 20
