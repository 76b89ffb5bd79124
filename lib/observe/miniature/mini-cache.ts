// The entries of a miniature cache: the sampled keys alone, without their values. Knows neither
// arena nor lock: one thread has it.
//
//   entry    a key by its hash, its bytes, when it expires, its place in a list of its class
//   class    one for each doubling of the bytes, where pages belong to classes; else one
//   list     COLD and WARM, HOT for segmented lists, and TEMP, as in engine/items/rules.ts
//   memory   a class has the bytes of its entries, but no less than its least pages (setMemory): in
//            a small cache those are a large part of it
//
// Entries are indices from 1, NIL is 0. All arrays are made once: ENTRY_BYTES for each entry.

/** Bytes of all arrays for each entry, and for a ghost of it. */
export const ENTRY_BYTES = 29

export const NIL = 0

/** The lists of a class. */
export const MiniList = { COLD: 0, WARM: 1, HOT: 2, TEMP: 3 } as const
export type MiniList = (typeof MiniList)[keyof typeof MiniList]
const LISTS = 4

/** The classes begin at powers of two, from this one on; the last one has the long items. */
const FIRST_POWER = 5
export const MINI_CLASSES = 17
/** The class of the items that are longer than any chunk. */
export const LONG_CLASS = MINI_CLASSES - 1

// State of an entry: class 0-4 | list 5-6 | fetched 7 | active 8 | further uses 9-10
const CLASS_MASK = 0x1f
const LIST_SHIFT = 5
const LIST_MASK = 3 << LIST_SHIFT
export const FETCHED = 1 << 7
export const ACTIVE = 1 << 8
export const FURTHER_ONE = 1 << 9
export const FURTHER = 3 << 9

const BUCKET_SPREAD = 0x85ebca6b

/** Tags are below this. */
export const TAGS_MAX = 256

/** The memory of a miniature cache: all bytes but `longBytes` are scaled down. */
export interface MiniMemory {
  limitBytes: number
  pageBytes: number
  /** By class: pages that it has even for one entry. */
  leastPages: Float64Array
  /** Longer items have several chunks. */
  longBytes: number
  /** Entries for each item of an arena. */
  scale: number
}

/** What an entry is made of. */
export interface MiniKey {
  hash: number
  /** Of its item, header included. */
  bytes: number
  /** On the arena's clock; 0: never. */
  expiresAtS: number
  tag: number
}

export class MiniCache {
  /** Bytes that it may have, and has. */
  limitBytes = 0
  usedBytes = 0
  count = 0
  nowS = 0
  readonly capacity: number
  readonly hashes: Int32Array
  readonly bytes: Int32Array
  readonly touchedS: Int32Array
  readonly states: Uint16Array
  /** By tag, a number that the owner gives to an entry: entries, and their bytes. */
  readonly tagEntries = new Int32Array(TAGS_MAX)
  readonly tagBytes = new Float64Array(TAGS_MAX)
  readonly classBytes = new Float64Array(MINI_CLASSES)
  /** By class and list. */
  private readonly heads = new Uint16Array(MINI_CLASSES * LISTS)
  private readonly tails = new Uint16Array(MINI_CLASSES * LISTS)
  private readonly counts = new Int32Array(MINI_CLASSES * LISTS)
  private readonly expiries: Int32Array
  private readonly tags: Uint8Array
  private readonly nexts: Uint16Array
  private readonly prevs: Uint16Array
  private readonly chains: Uint16Array
  private readonly buckets: Uint16Array
  private readonly hasClasses: boolean
  /** Bytes of one page, and the least pages of each class that ever had an entry. */
  private pageBytes = 0
  private longBytes = 0
  private readonly leastPages = new Float64Array(MINI_CLASSES)
  private readonly wasUsed = new Uint8Array(MINI_CLASSES)
  private free = NIL
  private fresh = 1

  /** `capacity`: most entries, at most 65,535. `hasClasses` false: all are in class 0. */
  constructor(capacity: number, hasClasses: boolean) {
    const length = capacity + 1
    this.capacity = capacity
    this.hasClasses = hasClasses
    this.hashes = new Int32Array(length)
    this.bytes = new Int32Array(length)
    this.expiries = new Int32Array(length)
    this.tags = new Uint8Array(length)
    this.touchedS = new Int32Array(length)
    this.states = new Uint16Array(length)
    this.nexts = new Uint16Array(length)
    this.prevs = new Uint16Array(length)
    this.chains = new Uint16Array(length)
    this.buckets = new Uint16Array(2 ** Math.floor(Math.log2(length)))
  }

  /** Sets its limit, the bytes of a page, and the least pages of each class. */
  setMemory({ limitBytes, pageBytes, leastPages, longBytes }: MiniMemory): void {
    this.limitBytes = limitBytes
    this.pageBytes = pageBytes
    this.longBytes = longBytes
    this.leastPages.set(leastPages)
    this.usedBytes = 0
    for (let id = 0; id < MINI_CLASSES; id++) this.usedBytes += this.memoryOf(id, 0)
  }

  get isFull(): boolean {
    return this.count === this.capacity
  }

  classFor(bytes: number): number {
    if (!this.hasClasses) return 0
    if (bytes > this.longBytes) return LONG_CLASS
    const id = 31 - Math.clz32(bytes) - FIRST_POWER
    return Math.min(Math.max(id, 0), LONG_CLASS - 1)
  }

  classOf(entry: number): number {
    return this.states[entry] & CLASS_MASK
  }

  listOf(entry: number): MiniList {
    return ((this.states[entry] & LIST_MASK) >> LIST_SHIFT) as MiniList
  }

  /** Entries of a list of a class. */
  listCount(id: number, list: MiniList): number {
    return this.counts[id * LISTS + list]
  }

  /** Entries of a class. */
  classCount(id: number): number {
    const at = id * LISTS
    return this.counts[at] + this.counts[at + 1] + this.counts[at + 2] + this.counts[at + 3]
  }

  /** The entry at the end of a list; NIL: it is empty. */
  tailOf(id: number, list: MiniList): number {
    return this.tails[id * LISTS + list]
  }

  /** The least bytes of a class, whatever it has. */
  floorOf(id: number): number {
    return this.leastPages[id] * this.pageBytes
  }

  isExpired(entry: number): boolean {
    return this.expiries[entry] !== 0 && this.expiries[entry] <= this.nowS
  }

  /** The entry of a key; NIL: there is none. */
  find(hash: number): number {
    let entry = this.buckets[this.bucketOf(hash)]
    while (entry !== NIL && this.hashes[entry] !== hash) entry = this.chains[entry]
    return entry
  }

  /** Whether an entry of these bytes needs memory that others have. */
  isShortOf(id: number, bytes: number): boolean {
    return this.usedBytes + this.memoryOf(id, bytes) - this.memoryOf(id, 0) > this.limitBytes
  }

  /** Adds a key that has no entry, where `isFull` is false. Returns its entry, at a list's head. */
  add({ hash, bytes, expiresAtS, tag }: MiniKey, list: MiniList): number {
    const entry = this.free === NIL ? this.fresh++ : this.free
    if (entry === this.free) this.free = this.nexts[entry]
    const id = this.classFor(bytes)
    const bucket = this.bucketOf(hash)
    this.hashes[entry] = hash
    this.bytes[entry] = bytes
    this.expiries[entry] = expiresAtS
    this.touchedS[entry] = this.nowS
    this.states[entry] = id
    this.chains[entry] = this.buckets[bucket]
    this.buckets[bucket] = entry
    this.tags[entry] = tag
    this.tagEntries[tag]++
    this.tagBytes[tag] += bytes
    this.account(id, bytes)
    this.count++
    this.push(entry, list)
    return entry
  }

  remove(entry: number): void {
    this.pull(entry)
    this.unchain(entry)
    this.account(this.classOf(entry), -this.bytes[entry])
    this.tagEntries[this.tags[entry]]--
    this.tagBytes[this.tags[entry]] -= this.bytes[entry]
    this.bytes[entry] = 0
    this.nexts[entry] = this.free
    this.free = entry
    this.count--
  }

  /** An entry has other bytes of the same class, and expires then. */
  rewrite(entry: number, bytes: number, expiresAtS: number): void {
    const more = bytes - this.bytes[entry]
    this.account(this.classOf(entry), more)
    this.tagBytes[this.tags[entry]] += more
    this.bytes[entry] = bytes
    this.expiries[entry] = expiresAtS
  }

  /** Moves an entry to the head of a list of its class. */
  move(entry: number, list: MiniList): void {
    this.pull(entry)
    this.push(entry, list)
  }

  /** Removes the entries that have expired. */
  sweep(): void {
    for (let entry = 1; entry < this.fresh; entry++) {
      if (this.bytes[entry] !== 0 && this.isExpired(entry)) this.remove(entry)
    }
  }

  /** Removes the entries whose hash is not `kept`. */
  keep(kept: (hash: number) => boolean): void {
    for (let entry = 1; entry < this.fresh; entry++) {
      if (this.bytes[entry] !== 0 && !kept(this.hashes[entry])) this.remove(entry)
    }
  }

  private push(entry: number, list: MiniList): void {
    const at = this.classOf(entry) * LISTS + list
    const head = this.heads[at]
    this.states[entry] = (this.states[entry] & ~LIST_MASK) | (list << LIST_SHIFT)
    this.prevs[entry] = NIL
    this.nexts[entry] = head
    if (head === NIL) this.tails[at] = entry
    else this.prevs[head] = entry
    this.heads[at] = entry
    this.counts[at]++
  }

  private pull(entry: number): void {
    const at = this.classOf(entry) * LISTS + this.listOf(entry)
    const prev = this.prevs[entry]
    const next = this.nexts[entry]
    if (prev === NIL) this.heads[at] = next
    else this.nexts[prev] = next
    if (next === NIL) this.tails[at] = prev
    else this.prevs[next] = prev
    this.counts[at]--
  }

  private unchain(entry: number): void {
    const { buckets, chains } = this
    const bucket = this.bucketOf(this.hashes[entry])
    let other = buckets[bucket]
    if (other === entry) {
      buckets[bucket] = chains[entry]
      return
    }
    while (chains[other] !== entry) other = chains[other]
    chains[other] = chains[entry]
  }

  private account(id: number, bytes: number): void {
    this.usedBytes -= this.memoryOf(id, 0)
    this.classBytes[id] += bytes
    this.wasUsed[id] = 1
    this.usedBytes += this.memoryOf(id, 0)
  }

  /** Memory of a class with so many bytes more. */
  private memoryOf(id: number, more: number): number {
    if (this.wasUsed[id] === 0 && more === 0) return 0
    return Math.max(this.classBytes[id] + more, this.floorOf(id))
  }

  private bucketOf(hash: number): number {
    return (Math.imul(hash ^ (hash >>> 15), BUCKET_SPREAD) >>> 7) & (this.buckets.length - 1)
  }
}
