// The journal of changes that a server missed, because it was away, did not answer, or had lost the
// key to another server. What it still has of such a key is stale: it is not read, and is removed
// before that server is asked for the key again. One journal for one copy and for several.
//
//   keys      of each server, with the server that took the change instead. When the first one has
//             its copy removed, the copy on the second becomes stale in turn: it was on loan
//   epochs    where keys cannot be listed: after too many of them, or when a server owns keys again
//             that it owned long ago. All keys that an epoch covers are stale until they were
//             removed or replaced once. Nobody else's items are touched
//
// Only this client knows this, and only while it runs.

import { setTimeout as sleep } from 'node:timers/promises'
import { JOURNAL_CHANGES, type JournalChange } from '../../doors/channels.ts'
import type { Member, Members } from '../members/members.ts'

/** Most keys listed for a server by default. */
const JOURNAL_KEYS_MAX = 65_536

/** Most keys of an epoch that are known to be fresh, and most epochs of a server. */
const FRESH_KEYS_MAX = 262_144
const EPOCHS_MAX = 4

/** How many are removed at the same time, and the pause before that and in between. */
const STALE_BATCH_KEYS = 256
const STALE_REST_MS = 100

/** A server that left this long ago is forgotten, since names may never come back. */
export const STALE_GONE_MS = 600_000

export interface JournalOptions {
  members: Members
  timeoutMs: number
  /** Servers that keep a key. */
  copies: number
  /** Most keys listed for a server; with more an epoch begins for all of its keys. */
  keysMax?: number | undefined
  /** Ends all work. */
  signal: AbortSignal
  /** Called for each key whose copy was removed in the background. */
  renew(key: string): Promise<unknown>
}

/** Why a copy is stale: the server that has the newer one, if that is on loan there. */
interface Entry {
  lentTo: string | undefined
}

interface Epoch {
  covers(key: string): boolean
  /** Keys that were removed or replaced since it began; the oldest are forgotten first. */
  readonly fresh: Set<string>
}

interface Page {
  readonly keys: Map<string, Entry>
  epochs: Epoch[]
  /** Servers that took changes which are no longer listed. */
  readonly lenders: Set<string>
  isTended: boolean
}

export class Journal {
  private readonly options: JournalOptions
  /** By the name of the server, which may leave the pool and come back. */
  private readonly pages = new Map<string, Page>()

  constructor(options: JournalOptions) {
    this.options = options
    options.members.onRegain = namesBefore => this.regain(namesBefore)
  }

  /** Whether no copy is stale. */
  get isQuiet(): boolean {
    return this.pages.size === 0
  }

  /** Whether no copy waits to be removed. */
  isEmpty(): boolean {
    return ![...this.pages.values()].some(({ keys, lenders }) => keys.size > 0 || lenders.size > 0)
  }

  has({ node }: Member, key: string): boolean {
    const page = this.pages.get(node.name)
    if (page === undefined) return false
    return page.keys.has(key) || page.epochs.some(epoch => isStaleIn(epoch, key))
  }

  /** The copy there is stale. `lentTo` took the change instead of the server. */
  mark({ node }: Member, key: string, lentTo?: Member): void {
    this.note(node.name, key, lentTo?.node.name)
  }

  /**
   * The copy there is about to be replaced or removed, and must not be removed afterwards. Returns
   * whether it was stale. If that fails, it has to be marked.
   */
  replace(member: Member, key: string): boolean {
    const wasStale = this.has(member, key)
    if (wasStale) this.strike(member.node.name, key)
    return wasStale
  }

  /** Removes a stale copy now. Rejects as the server does. */
  async clean(member: Member, key: string, ms: number): Promise<void> {
    const { name } = member.node
    const entry = this.pages.get(name)?.keys.get(key)
    await this.options.members.on(member, node => node.delete(key, ms))
    // It may have been marked again meanwhile.
    if (this.pages.get(name)?.keys.get(key) === entry) this.strike(name, key)
  }

  /** Removes copies now. Those that cannot be removed count as stale. Never rejects. */
  async discard(holders: readonly Member[], key: string, ms: number): Promise<void> {
    const { members } = this.options
    const one = async (member: Member) => {
      if (!member.health.isUp()) return this.mark(member, key)
      await members.on(member, node => node.delete(key, ms)).catch(() => this.mark(member, key))
    }
    await Promise.all(holders.map(one))
  }

  private note(name: string, key: string, lentTo: string | undefined): void {
    const page = this.pageOf(name)
    for (const { fresh } of page.epochs) fresh.delete(key)
    const { keysMax = JOURNAL_KEYS_MAX } = this.options
    const isListed = page.keys.has(key)
    if (isListed || page.keys.size < keysMax) {
      page.keys.set(key, { lentTo })
      if (!isListed) tell(name, key, true)
    } else {
      for (const entry of [...page.keys.values(), { lentTo }]) {
        if (entry.lentTo !== undefined) page.lenders.add(entry.lentTo)
      }
      page.keys.clear()
      page.epochs = [epochOf(() => true)]
      tell(name, undefined, true)
    }
    if (!page.isTended) void this.tend(name, page)
  }

  /** There is no stale copy any more; what was on loan elsewhere is from now on. */
  private strike(name: string, key: string): void {
    const page = this.pages.get(name)
    if (page === undefined) return
    for (const epoch of page.epochs) freshen(epoch, key)
    const entry = page.keys.get(key)
    if (page.keys.delete(key)) tell(name, key, false)
    const { lentTo } = entry ?? {}
    if (lentTo !== undefined && lentTo !== name) this.note(lentTo, key, undefined)
  }

  private pageOf(name: string): Page {
    const known = this.pages.get(name)
    if (known !== undefined) return known
    const page: Page = { keys: new Map(), epochs: [], lenders: new Set(), isTended: false }
    this.pages.set(name, page)
    return page
  }

  /** The servers changed, and those that get keys back may have them from an earlier time. */
  private regain(namesBefore: (key: string, count: number) => readonly string[]): void {
    const { members, copies } = this.options
    for (const { node } of members.all()) {
      const covers = (key: string) => !namesBefore(key, copies).includes(node.name)
      this.begin(node.name, covers)
    }
  }

  private begin(name: string, covers: Epoch['covers']): void {
    const page = this.pageOf(name)
    const isFull = page.epochs.length >= EPOCHS_MAX
    page.epochs = isFull ? [epochOf(() => true)] : [...page.epochs, epochOf(covers)]
    tell(name, undefined, true)
  }

  /** Removes listed copies from a server as soon as it answers. One loop per server. */
  private async tend(name: string, page: Page): Promise<void> {
    const { members, signal } = this.options
    page.isTended = true
    let seenMs = performance.now()
    while (page.keys.size > 0 || page.lenders.size > 0) {
      await sleep(STALE_REST_MS, undefined, { signal, ref: false }).catch(() => {})
      if (signal.aborted) return
      const member = members.all().find(({ node }) => node.name === name)
      if (member !== undefined) seenMs = performance.now()
      else if (performance.now() - seenMs > STALE_GONE_MS) {
        this.pages.delete(name)
        return
      }
      if (!member?.health.isUp()) continue
      this.callIn(page)
      // The server's health records the failure; what was not removed is retried.
      await this.removeSome(member, page).catch(() => {})
    }
    page.isTended = false
    if (page.epochs.length === 0) this.pages.delete(name)
  }

  /** The server is back: what others took for it meanwhile is theirs no longer. */
  private callIn(page: Page): void {
    const { members, copies } = this.options
    for (const name of page.lenders) {
      const isOwn = (key: string) =>
        members.successors(key, copies).some(({ node }) => node.name === name)
      this.begin(name, key => !isOwn(key))
    }
    page.lenders.clear()
  }

  private async removeSome(member: Member, page: Page): Promise<void> {
    const { timeoutMs, renew } = this.options
    const keys = [...page.keys.keys()].slice(0, STALE_BATCH_KEYS)
    await Promise.all(keys.map(key => this.clean(member, key, timeoutMs)))
    await Promise.allSettled(keys.map(renew))
  }
}

function tell(server: string, key: string | undefined, isStale: boolean): void {
  if (!JOURNAL_CHANGES.hasSubscribers) return
  const message: JournalChange = { server, key, isStale }
  JOURNAL_CHANGES.publish(message)
}

function epochOf(covers: Epoch['covers']): Epoch {
  return { covers, fresh: new Set() }
}

function isStaleIn({ covers, fresh }: Epoch, key: string): boolean {
  return !fresh.has(key) && covers(key)
}

function freshen({ fresh }: Epoch, key: string): void {
  if (fresh.size >= FRESH_KEYS_MAX) {
    const [oldest] = fresh
    fresh.delete(oldest)
  }
  fresh.add(key)
}
