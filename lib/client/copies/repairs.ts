// Missing copies, as on a restarted server, are made from an existing one. This happens in the
// background: the caller already has its answer.
//
// A copy must not bring back an item that is being deleted. It is added only where nothing is, and
// kept only if its source still has that version afterwards. Deletes end with the server that is
// read first, so that either the copy or the delete sees the other.

import { RELATIVE_S_MAX } from '../../bytes/memcached.ts'
import type { Member, Members } from '../members/members.ts'
import type { Hit } from '../nodes/node.ts'
import type { Journal } from './change-journal.ts'

/** Most items being copied at the same time; others wait for the next request. */
const REPAIRS_MAX = 256

export interface RepairOptions {
  members: Members
  timeoutMs: number
}

export class Repairs {
  private readonly options: RepairOptions
  private readonly journal: Journal
  private running = 0
  /** Server and key of each copy that is being made. */
  private readonly making = new Set<string>()

  constructor(options: RepairOptions, journal: Journal) {
    this.options = options
    this.journal = journal
  }

  isIdle(): boolean {
    return this.running === 0
  }

  /** Whether there is a copy that may be deleted again. */
  isMaking({ node }: Member, key: string): boolean {
    return this.running > 0 && this.making.has(`${node.name} ${key}`)
  }

  /** Copies an item, or `hit` as read there, to servers that lack it. */
  start(key: string, from: Member, to: readonly Member[], hit?: Hit): void {
    const lacking = to.filter(member => !this.isMaking(member, key))
    if (lacking.length === 0 || this.running >= REPAIRS_MAX) return
    this.running++
    const names = lacking.map(({ node }) => `${node.name} ${key}`)
    for (const name of names) this.making.add(name)
    // Without the copy, the next request tries the next server again.
    void this.run(key, from, lacking, hit)
      .catch(() => {})
      .finally(() => {
        this.running--
        for (const name of names) this.making.delete(name)
      })
  }

  private async run(
    key: string,
    from: Member,
    to: readonly Member[],
    known: Hit | undefined,
  ): Promise<void> {
    const hit = known ?? (await this.read(key, from))
    const exptime = hit === undefined ? undefined : exptimeOf(hit)
    // An empty value may be a claim, which belongs to its server.
    if (hit === undefined || exptime === undefined || hit.value.length === 0) return
    const { value, flags, cas } = hit
    const add = { mode: 'add', key, value, flags, exptime, cas: undefined } as const
    const { members, timeoutMs } = this.options
    const added = await Promise.all(
      to.map(member => members.on(member, node => node.store(add, timeoutMs))),
    )
    const copies = to.filter((_, i) => added[i] === 'STORED')
    if (copies.length === 0) return
    const still = await this.read(key, from).catch(() => undefined)
    if (still?.cas === cas) return
    for (const member of copies) {
      await members
        .on(member, node => node.delete(key, timeoutMs))
        .catch(() => this.journal.mark(member, key))
    }
  }

  private read(key: string, from: Member): Promise<Hit | undefined> {
    const { members, timeoutMs } = this.options
    return members.on(from, node => node.get(key, timeoutMs))
  }
}

/** The exptime for a copy of an item; undefined: unknown, or it expires now. */
function exptimeOf({ ttlS }: Hit): number | undefined {
  if (ttlS === undefined || ttlS === 0) return undefined
  if (ttlS < 0) return 0
  return ttlS <= RELATIVE_S_MAX ? ttlS : Math.floor(Date.now() / 1000) + ttlS
}
