// Which tags of a Next.js application were revalidated, and when: one list in the cache, which all
// servers of the application share. Each of them keeps a copy. A small item has the version of the
// list; a server that reads another version there fetches the list.
//
//   tags       { version, sinceMs, tags: { [tag]: [staleMs, expiredMs] } }
//   version    the version
//
// The list is written first and its version last, so a caller whose change is acknowledged is seen
// by every later read. A list that was lost (evicted, or its server was restarted) begins again
// with all entries from before invalid: no invalidation comes undone. The list is bounded; marks
// that it drops make everything older than them invalid.
//
// Times are those of the servers' clocks, which must agree.

import { randomBytes } from 'node:crypto'
import { CacheError } from '../doors/errors.ts'
import type { Item, Store } from '../doors/types.ts'
import { decode, encode } from '../strategies/encoding.ts'

/** Tags that the list has, and tries to change it. */
export const TAGS_MAX = 2000
const TRIES_MAX = 20
const VERSION_BYTES = 9
const AS_BYTES = { as: 'bytes' } as const

/** When a tag became stale, and when its entries may no longer be served, ms; 0: never. */
type Mark = [staleMs: number, expiredMs: number]

interface TagList {
  version: string
  /** Entries from before are invalid. */
  sinceMs: number
  tags: Record<string, Mark>
}

export class NextTags {
  readonly versionKey: string
  private readonly cache: Store
  private readonly listKey: string
  private list: TagList | undefined

  constructor(cache: Store, prefix: string) {
    this.cache = cache
    this.listKey = `${prefix}tags`
    this.versionKey = `${prefix}tags-version`
  }

  /** Fetches the list if the version that was read is not its own. Rejects if that fails. */
  async follow(read: Item<Buffer> | undefined): Promise<void> {
    const version = read && String(read.value)
    if (this.list !== undefined && this.list.version === version) return
    const list = (await this.fetch())?.list ?? (await this.begin())
    this.list = list
    if (list.version === version) return
    // The version was lost, or whoever changed the list died before it was written.
    if (read === undefined) await this.cache.add(this.versionKey, list.version)
    else await this.cache.cas(this.versionKey, list.version, read.cas)
  }

  /** Whether entries of this time may not be served. `follow` was called. */
  areExpired(tags: readonly string[], entryMs: number): boolean {
    const { list } = this
    if (list === undefined || entryMs <= list.sinceMs) return true
    const nowMs = Date.now()
    return tags.some(tag => {
      const [, expiredMs] = list.tags[tag] ?? [0, 0]
      return expiredMs >= entryMs && expiredMs <= nowMs
    })
  }

  /** Whether entries of this time are to be made again in the background. */
  areStale(tags: readonly string[], entryMs: number): boolean {
    return tags.some(tag => (this.list?.tags[tag]?.[0] ?? 0) >= entryMs)
  }

  /**
   * Marks tags: as expired now; with `durations` as stale now, and expired after that time, s.
   * Rejects if the mark may not be seen by all.
   */
  async mark(tags: readonly string[], durations?: { expire?: number }): Promise<void> {
    if (tags.length === 0) return
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const found = await this.fetch()
      const list = marked(found?.list ?? emptyList(), tags, durations)
      const { bytes, flags } = encode(list)
      const isStored =
        found === undefined
          ? await this.cache.add(this.listKey, bytes, { flags })
          : await this.cache.cas(this.listKey, bytes, found.cas, { flags })
      if (!isStored) continue
      if (!(await this.cache.set(this.versionKey, list.version))) break
      this.list = list
      return
    }
    throw new CacheError('BUSY', 'the list of revalidated tags could not be changed')
  }

  private async fetch(): Promise<{ list: TagList; cas: bigint } | undefined> {
    const item = await this.cache.getItem<Buffer>(this.listKey, AS_BYTES)
    return item && { list: decode(item) as TagList, cas: item.cas }
  }

  /** A first list, or the one that another server began. */
  private async begin(): Promise<TagList> {
    const list = emptyList()
    const { bytes, flags } = encode(list)
    if (await this.cache.add(this.listKey, bytes, { flags })) return list
    const found = await this.fetch()
    if (found !== undefined) return found.list
    throw new CacheError('BUSY', 'the list of revalidated tags could not be read')
  }
}

function emptyList(): TagList {
  return { version: newVersion(), sinceMs: Date.now(), tags: {} }
}

function marked(list: TagList, tags: readonly string[], durations?: { expire?: number }): TagList {
  const nowMs = Date.now()
  const marks = new Map(Object.entries(list.tags))
  for (const tag of tags) {
    const [staleMs, expiredMs] = marks.get(tag) ?? [0, 0]
    if (durations === undefined) marks.set(tag, [staleMs, nowMs])
    else {
      const { expire } = durations
      marks.set(tag, [nowMs, expire === undefined ? expiredMs : nowMs + expire * 1000])
    }
  }
  const oldestFirst = [...marks].sort(([, a], [, b]) => timeOf(a) - timeOf(b))
  const dropped = oldestFirst.slice(0, Math.max(0, marks.size - TAGS_MAX))
  return {
    version: newVersion(),
    sinceMs: Math.max(list.sinceMs, ...dropped.map(([, mark]) => timeOf(mark))),
    tags: Object.fromEntries(oldestFirst.slice(dropped.length)),
  }
}

/** Until when a mark may concern an entry. */
function timeOf([staleMs, expiredMs]: Mark): number {
  return Math.max(staleMs, expiredMs)
}

function newVersion(): string {
  return randomBytes(VERSION_BYTES).toString('base64url')
}
