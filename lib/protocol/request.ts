// One request as a protocol parsed it: one record for each session, used again and again. While a
// value is on its way, in or out, it also remembers where that value lives.

import type { Area } from '../bytes/area.ts'
import type { Hold, Shard } from '../engine/shard.ts'
import { Mode } from '../engine/status.ts'
import type { HotKeys } from '../observe/hot-keys.ts'
import type { Journal } from '../observe/journal.ts'

export class Request {
  /** Where the key stands; valid only until the input moves on. */
  area: Area
  keyStart = 0
  keyBytes = 0
  /** The key's hash and its shard, set by execute.ts. */
  hash = 0
  shard: Shard
  mode: Mode = Mode.SET
  /** Client flags, unsigned 32 bits. */
  flags = 0
  /** Seconds, as in protocol.txt; above 30 days an absolute Unix time; negative: at once. */
  exptime = 0
  /** As exptime: the end of an item that is made on a miss, and when a new value is asked for. */
  createExptime = 0
  recacheExptime = 0
  valueBytes = 0
  /** The CAS number asked for, as 32-bit words; 0: none. */
  readonly cas = { high: 0, low: 0 }
  noreply = false
  /** The item that `shard` holds for this request. */
  readonly hold: Hold = { slot: 0, generation: 0 }

  /** Where requests are noted while somebody wants to know, and whose they are. */
  readonly journal: Journal
  readonly peerId: number
  /** Where some of them are counted. */
  readonly hotKeys: HotKeys

  constructor(area: Area, shard: Shard, journal: Journal, hotKeys: HotKeys, peerId: number) {
    this.area = area
    this.shard = shard
    this.journal = journal
    this.hotKeys = hotKeys
    this.peerId = peerId
  }

  setKey(area: Area, start: number, end: number): void {
    this.area = area
    this.keyStart = start
    this.keyBytes = end - start
  }
}
