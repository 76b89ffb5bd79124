// `lru_crawler metadump` and `mgdump`: the items of all arenas, one row each, as fast as the peer
// reads. A step of the walk prints into one piece under the arena's lock, without allocating. An
// item stored, moved or freed between two steps is printed once, twice or not at all.
//
// In the whole process one thread at a time is in a step. So dumps take at most one core together,
// however many peers ask for them; memcached has one thread for them, and serves one at a time.

import { DIGITS_MAX, printNumber, printU64 } from '../../bytes/decimal.ts'
import { KEY_BYTES_MAX } from '../../bytes/memcached.ts'
import { KIB, MIB } from '../../bytes/units.ts'
import type { Arena } from '../../engine/arena/arena.ts'
import type { Ref } from '../../engine/arena/layout.ts'
import * as L from '../../engine/arena/layout.ts'
import { expiryOf, itemFlags, itemTotalBytes, keyAt, loadCas } from '../../engine/items/item.ts'
import { touchedAtS } from '../../engine/items/uses.ts'
import type { ClassSet, ItemSink } from '../../engine/items/walk.ts'
import type { Shard } from '../../engine/shard.ts'
import type { Source } from '../conversation.ts'
import { Control, type Host } from '../host.ts'
import { encodeBytes, encodeControls, hasControls } from '../words/ascii.ts'

/** Size of one piece of a dump, and of a complete `stats cachedump`, bytes. */
const DUMP_PIECE_BYTES = 8 * KIB
const CACHEDUMP_BYTES_MAX = 2 * MIB

/** How long a dump waits while another thread is in a step. */
export const DUMP_WAIT_MS = 2

/** A step that lasts longer is of a thread that died. */
const DUMP_STEP_MS_MAX = 1000

const NOTHING = Buffer.alloc(0)

/** Longest row: a percent-encoded key, words and eight numbers. */
const LINE_BYTES_MAX = 3 * KEY_BYTES_MAX + 100 + 8 * DIGITS_MAX

const LF = 10
/** The time as a positive number of 32 bits. */
const MS_MASK = 0x7fffffff

/** Prints an item's row at `at` of `bytes`. Returns the end. */
type Print = (arena: Arena, ref: Ref, bytes: Buffer, at: number) => number

/** The format of one kind of dump. */
export interface DumpForm {
  print: Print
  /** Sent after the last item. */
  end: string
}

/** `key=... exp=... ...`, as metadump has it. */
export const META_DUMP: DumpForm = { print: printMeta, end: 'END\r\n' }
/** `mg key`, ready to be sent. Keys that are no text or have control characters are in base64. */
export const MG_DUMP: DumpForm = { print: printMg, end: 'EN\r\n' }

export class Dump implements Source, ItemSink {
  /** Above 0 while another thread is in a step. */
  pauseMs = 0
  private readonly shards: readonly Shard[]
  private readonly control: Int32Array
  private readonly classes: ClassSet
  private readonly form: DumpForm
  private readonly cursor = { page: 0, chunk: 0 }
  private shard = 0
  private isEnded = false
  private piece = Buffer.alloc(0)
  private length = 0

  constructor(host: Pick<Host, 'cache' | 'control'>, classes: ClassSet, form: DumpForm) {
    this.shards = host.cache.shards
    this.control = host.control
    this.classes = classes
    this.form = form
  }

  next(): Buffer | null {
    if (this.isEnded) return null
    if (this.shard === this.shards.length) {
      this.isEnded = true
      return Buffer.from(this.form.end)
    }
    const isMine = beginDumpStep(this.control)
    this.pauseMs = isMine ? 0 : DUMP_WAIT_MS
    if (!isMine) return NOTHING
    try {
      return this.step()
    } finally {
      endDumpStep(this.control)
    }
  }

  private step(): Buffer {
    // The previous piece may still wait to be sent.
    this.piece = Buffer.allocUnsafe(DUMP_PIECE_BYTES)
    this.length = 0
    const { cursor } = this
    if (!this.shards[this.shard].walk(cursor, this.classes, this)) {
      this.shard++
      cursor.page = 0
      cursor.chunk = 0
    }
    return this.piece.subarray(0, this.length)
  }

  take(arena: Arena, ref: Ref): boolean {
    if (this.length + LINE_BYTES_MAX > this.piece.length) return false
    this.length = this.form.print(arena, ref, this.piece, this.length)
    return true
  }

  close(): void {}
}

/** Whether this thread may do a step now. */
export function beginDumpStep(control: Int32Array): boolean {
  const nowMs = (Date.now() & MS_MASK) | 1
  const beganMs = Atomics.load(control, Control.DUMPING)
  if (beganMs !== 0 && Math.abs(nowMs - beganMs) < DUMP_STEP_MS_MAX) return false
  return Atomics.compareExchange(control, Control.DUMPING, beganMs, nowMs) === beganMs
}

export function endDumpStep(control: Int32Array): void {
  Atomics.store(control, Control.DUMPING, 0)
}

/** The reply to `stats cachedump`: newest items of a class's cold lists, END included. */
export function dumpColdItems(shards: readonly Shard[], classId: number, itemsMax: number): Buffer {
  const bytes = Buffer.allocUnsafe(CACHEDUMP_BYTES_MAX)
  let length = 0
  let count = 0
  const sink: ItemSink = {
    take(arena, ref) {
      if (length + LINE_BYTES_MAX > bytes.length) return false
      length = printCold(arena, ref, bytes, length)
      count++
      return true
    },
  }
  for (const shard of shards) {
    const left = itemsMax === 0 ? 0 : itemsMax - count
    if (itemsMax === 0 || left > 0) shard.walkList(classId, left, sink)
  }
  return Buffer.concat([bytes.subarray(0, length), Buffer.from('END\r\n')])
}

function printMeta(arena: Arena, ref: Ref, bytes: Buffer, start: number): number {
  const { words } = arena
  const meta = words[ref + L.ITEM_META]
  const key = keyAt(arena, ref)
  const endsAtS = expiryOf(arena, ref)
  let at = start + bytes.write('key=', start)
  at = encodeBytes(arena.area.bytes, key, key + L.metaKeyBytes(meta), bytes, at)
  at += bytes.write(' exp=', at)
  at = endsAtS === 0 ? at + bytes.write('-1', at) : printTime(words, endsAtS, bytes, at)
  at += bytes.write(' la=', at)
  at = printTime(words, touchedAtS(words, ref), bytes, at)
  at += bytes.write(' cas=', at)
  loadCas(arena, ref)
  at = printU64(bytes, at)
  at += bytes.write((meta & L.STATE_FETCHED) === 0 ? ' fetch=no cls=' : ' fetch=yes cls=', at)
  at = printNumber(bytes, at, L.metaClass(meta))
  at += bytes.write(' size=', at)
  at = printNumber(bytes, at, itemTotalBytes(arena, ref))
  at += bytes.write(' flags=', at)
  at = printNumber(bytes, at, itemFlags(arena, ref))
  bytes[at] = LF
  return at + 1
}

function printMg(arena: Arena, ref: Ref, bytes: Buffer, start: number): number {
  const meta = arena.words[ref + L.ITEM_META]
  const key = keyAt(arena, ref)
  const keyEnd = key + L.metaKeyBytes(meta)
  const at = start + bytes.write('mg ', start)
  const isBinary = (meta & L.STATE_KEY_BINARY) !== 0
  if (!isBinary && !hasControls(arena.area.bytes, key, keyEnd)) {
    const end = at + arena.area.bytes.copy(bytes, at, key, keyEnd)
    return end + bytes.write('\r\n', end)
  }
  const end = at + bytes.write(arena.area.bytes.toString('base64', key, keyEnd), at)
  return end + bytes.write(' b\r\n', end)
}

function printCold(arena: Arena, ref: Ref, bytes: Buffer, start: number): number {
  const { words } = arena
  const key = keyAt(arena, ref)
  const endsAtS = expiryOf(arena, ref)
  let at = start + bytes.write('ITEM ', start)
  const keyEnd = key + L.metaKeyBytes(words[ref + L.ITEM_META])
  at = encodeControls(arena.area.bytes, key, keyEnd, bytes, at)
  at += bytes.write(' [', at)
  at = printNumber(bytes, at, words[ref + L.ITEM_VALUE_BYTES])
  at += bytes.write(' b; ', at)
  at = endsAtS === 0 ? at + bytes.write('0', at) : printTime(words, endsAtS, bytes, at)
  return at + bytes.write(' s]\r\n', at)
}

/** A time of the arena's clock as Unix time. */
function printTime(words: Int32Array, atS: number, bytes: Buffer, at: number): number {
  return printNumber(bytes, at, words[L.STARTED_AT_S] + atS)
}
