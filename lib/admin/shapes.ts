// What the admin listener tells its page, as JSON. Types alone: the browser's code reads them too.
// Keys are percent-encoded bytes, as in a dump. Counters count since the start or `stats reset`.

/** The event `sample`, once a second. */
export interface Sample {
  /** Unix time, milliseconds. */
  atMs: number
  /** Rows of `stats` that are numbers, as SAMPLED_ROWS names them. */
  stats: Record<string, number>
  /** Requests that are neither gets nor sets. */
  others: number
  /** Commands that were timed in the last LATENCY_WINDOW_S seconds. */
  latency: CommandTimes[]
  /** Items that left the cache, but for deletes, by cause. */
  removed: Record<RemovalCause, number>
  /** The workers and, last, the main thread. */
  workers: WorkerFacts[]
  arenas: ArenaFacts[]
  /** Slab classes that have a page. */
  classes: ClassFacts[]
  memory: MemoryFacts
}

/** Times from read to reply, microseconds. */
export interface CommandTimes {
  command: string
  count: number
  p50Us: number
  p99Us: number
  p999Us: number
  longestUs: number
}

/** As in the metric memslab_items_removed_total. */
export type RemovalCause = 'memory' | 'page_move' | 'expired' | 'crawler' | 'flushed'

export interface ArenaFacts {
  /** How often a thread found its lock taken. */
  lockWaits: number
  /** The longest step of upkeep or of making room under its lock. */
  longestStepUs: number
}

export interface WorkerFacts {
  connections: number
  cpuUs: number
  /** Longest delay of its event loop in the last second. */
  loopDelayUs: number
}

export interface ClassFacts {
  id: number
  chunkBytes: number
  pages: number
  chunks: number
  usedChunks: number
  items: number
  /** Bytes of its items, headers included. */
  itemBytes: number
  evicted: number
  evictedUnfetched: number
  /** How long the item that was evicted last had been idle. */
  evictedIdleS: number
  /** How long its coldest item has been idle. */
  coldestIdleS: number
  outOfMemory: number
}

export interface MemoryFacts {
  limitBytes: number
  /** Pages of classes. */
  slabBytes: number
  itemBytes: number
  tableBytes: number
  /** Pages that no class has. */
  freePages: number
}

/** The event `map`: the pages of all arenas, sent when they change. */
export interface PageMap {
  pageBytes: number
  pages: number
  /** Those that no class has. */
  freePages: number
  /** Those that are about to leave their class. */
  movingPages: number
  /** A cell is this number of neighbouring pages, and has so many parts. */
  pagesPerCell: number
  partsPerCell: number
  /**
   * By arena: one byte for each part of a cell, in base64: the number of a class, or one of
   * CellCodes. Together the parts are about as its pages are.
   */
  arenas: string[]
  codes: CellCodes
}

/** The codes of cells that are no class. */
export interface CellCodes {
  /** Never used. */
  unused: number
  /** In the pool, from which all classes take. */
  pool: number
  /** Kept for values on their way, from before the arena was emptied. */
  kept: number
  /** About to leave its class. */
  moving: number
}

/** The event `detail`, every DETAIL_EVERY samples. Null: not told, or not known. */
export interface Detail {
  hot: HotKeyFacts[] | null
  long: { key: string; valueBytes: number }[] | null
  prefixes: PrefixFacts[] | null
  curve: CurveFacts | null
}

export interface HotKeyFacts {
  key: string
  /** Estimated number of recent requests, and share of all, 0 to 1. */
  requests: number
  share: number
  /** Null: it has no item. */
  valueBytes: number | null
}

/** Estimates from the same sample. */
export interface PrefixFacts {
  /** Empty: keys without one, and rare ones. */
  prefix: string
  items: number
  bytes: number
  lookups: number
  /** 0 to 1; null: nothing was asked for. */
  hitRatio: number | null
}

/** The estimated hit ratio by memory, from a sample of the keys. */
export interface CurveFacts {
  nowBytes: number
  sampledKeys: number
  points: CurvePoint[]
}

export interface CurvePoint {
  bytes: number
  /** 0 to 1; null: nothing was asked for yet. */
  hitRatio: number | null
  /** How full a cache of this size would be, 0 to 1: below 1 the estimate is too low. */
  filled: number
}

/** The event `hello`, first on each stream: what does not change while the daemon runs. */
export interface Hello {
  hostName: string
  version: string
  /** The memcached version that clients are told. */
  protocolVersion: string
  pid: number
  threads: number
  arenas: number
  connectionsMax: number
  /** Where clients connect, as in `stats conns`. */
  places: string[]
  uringWorkers: number
  mayWrite: boolean
  mayFlush: boolean
  mayWatch: boolean
  /** Keys, values, peers and settings are told. */
  tellsKeys: boolean
}

/** `/api/item`. */
export interface ItemFacts {
  key: string
  found: 'found' | 'expired' | 'flushed' | 'not_found'
  /** Only if there is an item. */
  item?: {
    valueBytes: number
    totalBytes: number
    flags: number
    cas: string
    classId: number
    list: string
    arena: number
    /** Null: it never expires. */
    ttlS: number | null
    idleS: number
    fetched: boolean
    stale: boolean
    claimed: boolean
    /** The first bytes of the value, base64; only if asked for. */
    value?: string
  }
}

/** `/api/connections`, in the order of their numbers. */
export interface ConnectionPage {
  total: number
  rows: ConnectionRow[]
  /** Where the next page begins: `?after=`; null: this is the last one. */
  next: number | null
}

export interface ConnectionRow {
  id: number
  address: string
  listener: string
  state: string
  idleS: number
}

/** `/api/settings`: rows of `stats settings`. */
export interface SettingRow {
  name: string
  value: string
  /** It can change while the daemon runs. */
  isChangeable: boolean
  /** Who changed it last, and when, Unix time in seconds; null: nobody did. */
  changed: { who: string; atS: number } | null
}
