// A line without a socket: it cuts input anywhere, sends now, soon or later, and handles pending
// events in a random order.

import { Area } from '../../lib/bytes/area.ts'
import { KIB } from '../../lib/bytes/units.ts'
import type { Inserts } from '../../lib/protocol/inserts.ts'
import { READ_BYTES, READ_REST_BYTES_MAX } from '../../lib/protocol/limits.ts'
import { gather } from '../../lib/server/line/gather.ts'
import { type Line, type LineOwner, Sent } from '../../lib/server/line/line.ts'
import type { Replies, ReplyBuffer } from '../../lib/server/line/replies.ts'
import type { Random } from './prng.ts'

export class MoodyLine implements Line {
  readonly takesInserts: boolean
  ended = false
  readonly unsentBytes = 0
  isClosed = false
  input: Buffer = Buffer.alloc(0)
  /** The peer closes its side after the input. */
  closesSide = false
  readonly sentPieces: Buffer[] = []
  /** The outcome of each reply. */
  readonly outcomes: Sent[] = []
  private readonly replies: Replies
  private readonly owner: LineOwner
  private readonly random: Random
  /** Events of later turns: the connection's, and its own. */
  private readonly due: (() => void)[]
  private readonly buffer = Area.allocate(READ_REST_BYTES_MAX + READ_BYTES)
  private isReading = false
  private isSending = false
  private isEnding = false
  private isHalfClosed = false

  constructor(replies: Replies, owner: LineOwner, random: Random, due: (() => void)[]) {
    this.replies = replies
    this.owner = owner
    this.random = random
    this.due = due
    this.takesInserts = random.once(2)
  }

  /** All input is read, and no event is pending. */
  get isDone(): boolean {
    return this.input.length === 0 && this.due.length === 0
  }

  send(from: ReplyBuffer, start: number, end: number, inserts: Inserts): Sent {
    const sent = this.carry(from, start, end, inserts)
    this.outcomes.push(sent)
    return sent
  }

  private carry(from: ReplyBuffer, start: number, end: number, inserts: Inserts): Sent {
    const { random, replies } = this
    if (this.isSending) throw new Error('a reply is being sent')
    if (this.ended) return Sent.FAILED
    const pieces = gather(from.area.bytes.subarray(start, end), inserts, start)
    if (random.once(2)) {
      this.take(pieces)
      return Sent.ALL
    }
    this.isSending = true
    const held = inserts.count > 0 ? replies.takeInserts() : null
    replies.keep(from, end)
    this.due.push(() => {
      // Only now, because the bytes had to stay until then.
      if (!this.ended) this.take(pieces)
      held?.clear()
      replies.release(from)
      this.isSending = false
      if (this.isEnding || this.ended) this.close()
      else this.owner.sent()
    })
    return random.once(2) && held === null ? Sent.SOON : Sent.LATER
  }

  resume(): void {
    this.isReading = true
  }

  leave(): void {
    this.endSoon()
  }

  endSoon(): void {
    this.isEnding = true
    if (!this.isSending) this.due.push(() => this.close())
  }

  destroy(): void {
    this.ended = true
    if (!this.isSending) this.due.push(() => this.close())
  }

  abandon(): void {
    this.destroy()
  }

  reset(): void {
    this.destroy()
    while (!this.isClosed) this.step()
  }

  endpoint() {
    return { address: '', port: 0 }
  }

  /** Handles one pending event. */
  step(): void {
    const { due, random } = this
    // Bytes in flight when the owner says stop may still arrive.
    const mayRead = this.isReading || random.once(10)
    if (due.length > 0 && (!mayRead || random.once(3))) {
      due.splice(random.below(due.length), 1)[0]()
    } else if (mayRead && !this.ended && !this.isEnding) {
      this.read()
    }
  }

  private read(): void {
    const { owner, random, input, buffer } = this
    if (input.length === 0) {
      if (!this.closesSide || this.isHalfClosed) return
      this.isHalfClosed = true
      owner.halfClosed()
      return
    }
    const view = owner.fillView()
    const to = view ?? buffer.bytes.subarray(READ_REST_BYTES_MAX)
    const most = random.pick([1, 50, KIB, READ_BYTES])
    const bytes = input.copy(to, 0, 0, Math.min(most, to.length))
    this.input = input.subarray(bytes)
    const goesOn =
      view === null ? owner.read(buffer, READ_REST_BYTES_MAX, bytes) : owner.filled(bytes)
    if (view === null) buffer.bytes.fill(0)
    this.isReading = goesOn
  }

  private take(pieces: Uint8Array[]): void {
    for (const piece of pieces) this.sentPieces.push(Buffer.from(piece))
  }

  private close(): void {
    if (this.isClosed) return
    this.ended = true
    this.isClosed = true
    this.owner.closed(false)
  }
}
