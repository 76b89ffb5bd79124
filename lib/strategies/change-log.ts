// A log of changed keys in a cache, by which processes tell each other what their near copies must
// forget. It needs nothing but a cache that all of them use.
//
//   PREFIXseq        the number of the last entry; it begins at a time, so that it never goes back
//   PREFIX<number>   an entry: who wrote it, and the keys that changed
//
// A writer takes the next number, then stores the entry; writes of one turn share an entry. A
// reader asks for the number at intervals and reads the entries since. It is fresh as of the moment
// when it last asked, if it has all entries. If one is missing (its writer is not done or died, or
// it was evicted) the reader is not fresh; after a while it forgets everything and goes on.

import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { CacheError } from '../doors/errors.ts'
import type { Store } from '../doors/types.ts'
import type { OnError } from './reporter.ts'

/** How long entries are kept, seconds, and most that a reader reads at once. */
const ENTRY_TTL_S = 120
const ENTRIES_MAX = 1000

/** Keys of one entry, and keys that wait for the next one; with more, all is to be forgotten. */
const ENTRY_KEYS_MAX = 1000
const WAITING_KEYS_MAX = 100_000

/** Times of retries: of a missing entry, and of an entry that could not be stored. */
const MISSING_MS = 5
const RETRY_MS = 100

const WRITER_BYTES = 9
const FIRST_PER_MS = 1000n

/** What a reader must forget: keys, or everything. */
export type Forget = (keys: readonly string[] | undefined) => void

interface Entry {
  by: string
  /** Undefined: everything. */
  keys?: string[]
}

export interface ChangeLogOptions {
  prefix: string
  /** How long after a successful look the reader counts as fresh, ms. */
  staleMs: number
  forget: Forget
  report: OnError
}

export class ChangeLog {
  private readonly store: Store
  private readonly options: ChangeLogOptions
  private readonly seqKey: string
  private readonly writer = randomBytes(WRITER_BYTES).toString('base64url')
  private seen: bigint | undefined
  private freshUntilMs = 0
  /** Since when an entry is missing. */
  private missingSinceMs = 0
  private looking: Promise<void> | undefined
  private readonly timer: NodeJS.Timeout
  private isClosed = false
  private waiting = new Set<string>()
  private isAll = false
  private writing: Promise<void> | undefined

  /** Begins to follow the log, without keeping the process alive. */
  constructor(store: Store, options: ChangeLogOptions) {
    this.store = store
    this.options = options
    this.seqKey = `${options.prefix}seq`
    // Four looks in the time, so that one that is late or fails does no harm.
    this.timer = setInterval(() => this.look(), options.staleMs / 4).unref()
    void this.look()
  }

  /** Whether all changes are known that were told `staleMs` ago or earlier. */
  isFresh(): boolean {
    return performance.now() < this.freshUntilMs
  }

  /** Resolves after the next look. */
  look(): Promise<void> {
    this.looking ??= this.follow()
      .catch(error => this.options.report(error, this.seqKey))
      .finally(() => {
        this.looking = undefined
      })
    return this.looking
  }

  /**
   * Tells the others. Undefined: to forget everything. Resolves when the entry is stored, or could
   * not be stored at once: that is reported and retried.
   */
  tell(key: string | undefined): Promise<void> {
    if (key === undefined || this.waiting.size >= WAITING_KEYS_MAX) this.isAll = true
    else this.waiting.add(key)
    if (this.isAll) this.waiting.clear()
    // A write that has begun does not have this key: the next one has.
    const before = this.writing
    if (before === undefined) return this.write()
    return before.then(() => (this.isIdle() ? undefined : (this.writing ?? this.write())))
  }

  /** Stops following. */
  close(): void {
    this.isClosed = true
    this.freshUntilMs = 0
    clearInterval(this.timer)
  }

  private isIdle(): boolean {
    return this.waiting.size === 0 && !this.isAll
  }

  private write(): Promise<void> {
    this.writing = Promise.resolve()
      .then(() => this.append())
      .finally(() => {
        this.writing = undefined
      })
    return this.writing
  }

  private async append(): Promise<void> {
    const isAll = this.isAll
    const keys = [...this.waiting]
    this.isAll = false
    this.waiting.clear()
    try {
      if (isAll) await this.put({ by: this.writer })
      for (let i = 0; i < keys.length; i += ENTRY_KEYS_MAX) {
        await this.put({ by: this.writer, keys: keys.slice(i, i + ENTRY_KEYS_MAX) })
      }
    } catch (error) {
      this.options.report(error, this.seqKey)
      this.isAll ||= isAll
      for (const key of keys) this.waiting.add(key)
      void this.retry()
    }
  }

  private async put(entry: Entry): Promise<void> {
    const initial = BigInt(Date.now()) * FIRST_PER_MS
    const number = await this.store.incr(this.seqKey, 1n, { initial })
    const key = number === undefined ? undefined : this.entryKey(number)
    const text = JSON.stringify(entry)
    if (key !== undefined && (await this.store.set(key, text, { ttlS: ENTRY_TTL_S }))) return
    throw new CacheError('CONNECTION', 'the log of changes is away')
  }

  private async retry(): Promise<void> {
    await sleep(RETRY_MS, undefined, { ref: false })
    if (!this.isClosed && !this.isIdle() && this.writing === undefined) await this.write()
  }

  private async follow(): Promise<void> {
    for (;;) {
      const askedMs = performance.now()
      const last = await this.last()
      if (last === undefined || this.isClosed) return
      if (await this.readUpTo(last)) {
        this.missingSinceMs = 0
        this.freshUntilMs = askedMs + this.options.staleMs
        return
      }
      this.missingSinceMs ||= askedMs
      if (askedMs - this.missingSinceMs > this.options.staleMs) this.start(last)
      await sleep(MISSING_MS, undefined, { ref: false })
    }
  }

  /** The number of the last entry; undefined if its server is away. */
  private async last(): Promise<bigint | undefined> {
    for (let tries = 0; tries < 2; tries++) {
      const text = await this.store.get(this.seqKey)
      if (typeof text === 'string' && /^\d+\s*$/.test(text)) return BigInt(text.trim())
      const first = String(BigInt(Date.now()) * FIRST_PER_MS)
      await this.store.add(this.seqKey, first)
    }
    return undefined
  }

  /** Reads the entries up to this one. Returns whether none is missing. */
  private async readUpTo(last: bigint): Promise<boolean> {
    const { seen } = this
    if (seen === last) return true
    if (seen === undefined || last < seen || last - seen > ENTRIES_MAX) return this.start(last)
    const numbers = Array.from({ length: Number(last - seen) }, (_, i) => seen + BigInt(i + 1))
    const found = await this.store.getMany<string>(numbers.map(number => this.entryKey(number)))
    let isWhole = true
    for (const number of numbers) {
      const text = found.get(this.entryKey(number))
      if (text !== undefined) this.apply(text)
      isWhole &&= text !== undefined
      if (isWhole) this.seen = number
    }
    return isWhole
  }

  /** Forgets everything, so that the entries up to this one do not matter. */
  private start(last: bigint): boolean {
    this.options.forget(undefined)
    this.seen = last
    return true
  }

  private apply(text: string): void {
    try {
      const { by, keys } = JSON.parse(text) as Entry
      if (by !== this.writer) this.options.forget(keys)
    } catch {
      // Damaged: what it said is unknown.
      this.options.forget(undefined)
    }
  }

  private entryKey(number: bigint): string {
    return `${this.options.prefix}${number}`
  }
}
