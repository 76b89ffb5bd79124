// The reply buffers of one thread: where its sessions write, and what is still being sent. This is
// the only file that moves the thread's Reply from place to place.
//
//   | being sent | being sent | the reply that is being written          |
//   0                         reply.start   reply.length     reply.limit
//
// A line gets a range of the current buffer. If the bytes must stay after its `send` returns, it
// keeps the buffer up to their end, and the next reply is written after them or into another
// buffer. A buffer is free again once every line that kept it has released it.

import { Area } from '../../bytes/area.ts'
import { Inserts } from '../../protocol/inserts.ts'
import { REPLY_BYTES, SEAL_BYTES_MAX } from '../../protocol/limits.ts'
import type { Reply } from '../../protocol/reply.ts'
import type { Address } from '../native/ffi.ts'

/** Room for a reply of any length, including what TLS adds. */
export const REPLY_ROOM_BYTES = REPLY_BYTES + SEAL_BYTES_MAX

export interface ReplyBuffer {
  readonly area: Area
  /** Address of the area; 0 in threads that pass no addresses to the kernel. */
  readonly address: Address
  /** How many replies in it are being sent. */
  held: number
}

/** The inserts of a reply without any. */
export const NO_INSERTS = new Inserts()

export class Replies {
  readonly reply: Reply
  /** What the session writes to. */
  current: ReplyBuffer
  private readonly bufferBytes: number
  private readonly addressOf: (bytes: Buffer) => Address
  private readonly sparesMax: number
  private readonly spares: ReplyBuffer[] = []

  /**
   * A buffer of REPLY_ROOM_BYTES holds one reply, a longer one more of them. At most `sparesMax`
   * buffers wait to be used again.
   */
  constructor(
    reply: Reply,
    bufferBytes: number,
    sparesMax: number,
    addressOf: (bytes: Buffer) => Address = () => 0,
  ) {
    this.reply = reply
    this.bufferBytes = bufferBytes
    this.sparesMax = sparesMax
    this.addressOf = addressOf
    this.current = this.create()
    this.use(this.current)
  }

  /** The bytes before `end` are still being sent: the next reply is written elsewhere. */
  keep(buffer: ReplyBuffer, end: number): void {
    buffer.held++
    if (end + REPLY_ROOM_BYTES <= this.bufferBytes) this.begin(end)
    else this.use(this.spares.pop() ?? this.create())
  }

  /** Releases this buffer: a reply that kept it was sent, or never will be. */
  release(buffer: ReplyBuffer): void {
    if (--buffer.held > 0) return
    const { reply, spares } = this
    if (buffer !== this.current) {
      if (spares.length < this.sparesMax) spares.push(buffer)
    } else if (reply.length === reply.start) {
      this.begin(0)
    }
  }

  /** The inserts of the reply, for a line that still sends them and will clear them. */
  takeInserts(): Inserts {
    const { reply } = this
    const { inserts } = reply
    reply.inserts = new Inserts()
    return inserts
  }

  /** The reply was passed to a line: what the line did not keep is free. */
  clear(): void {
    const { reply } = this
    reply.length = reply.start
    if (reply.inserts.count > 0) reply.inserts.clear()
  }

  private create(): ReplyBuffer {
    const area = Area.allocate(this.bufferBytes)
    return { area, address: this.addressOf(area.bytes), held: 0 }
  }

  private use(buffer: ReplyBuffer): void {
    this.current = buffer
    this.reply.area = buffer.area
    this.begin(0)
  }

  private begin(start: number): void {
    const { reply } = this
    reply.start = start
    reply.length = start
    reply.limit = start + REPLY_BYTES
  }
}
