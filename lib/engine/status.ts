// Result codes of the engine's operations. A miss is a value; only a broken invariant throws.

export const Status = {
  OK: 0,
  MISS: 1,
  /** The item's CAS is not the one given. */
  EXISTS: 2,
  /** add, replace, append or prepend whose condition does not hold. */
  NOT_STORED: 3,
  /** Longer than the arena's item limit. */
  TOO_LARGE: 4,
  /** No memory, and nothing could be evicted. */
  NO_MEMORY: 5,
  /** incr or decr of a value that is not a 64-bit decimal number. */
  NON_NUMERIC: 6,
  /** A sink has no room for the hit, and nothing was changed: make room and try again. */
  NO_ROOM: 7,
  /** A sink took the head of a hit and wants the item held so that the value can follow. */
  HELD: 8,
  /** A hold is no longer valid: its arena was emptied. */
  LOST: 9,
  /** Uploads keep as much memory as they may: try again, or ask to be refused. */
  BUSY: 10,
  /** Not the engine's, but access control's before it: the peer must log in, or may not. */
  UNAUTHENTICATED: 11,
  UNAUTHORIZED: 12,
} as const

export type Status = (typeof Status)[keyof typeof Status]

/**
 * How a store treats an existing item. FILL adds an item of the past, unless clients stored,
 * deleted or flushed its key since the fill began; see Ask.
 */
export const Mode = {
  SET: 0,
  ADD: 1,
  REPLACE: 2,
  APPEND: 3,
  PREPEND: 4,
  CAS: 5,
  FILL: 6,
} as const

export type Mode = (typeof Mode)[keyof typeof Mode]

/** Results of orders to upkeep: a crawl, a page move, a memory limit. */
export const Order = {
  OK: 0,
  /** Another one is running. */
  BUSY: 1,
  /** Switched off. */
  OFF: 2,
  BAD_CLASS: 3,
  /** No item to crawl. */
  NOT_STARTED: 4,
  /** The class has no page to spare. */
  NO_SPARE: 5,
  /** From a class to itself. */
  SAME: 6,
  /** A memory limit below what the cache needs. */
  TOO_SMALL: 7,
  /** A memory limit above what the cache has reserved. */
  TOO_LARGE: 8,
} as const

export type Order = (typeof Order)[keyof typeof Order]

/** Results of cleaning up after dead threads. */
export const Recovery = { SOUND: 0, EMPTIED: 1, BUSY: 2 } as const
export type Recovery = (typeof Recovery)[keyof typeof Recovery]
