/**
 * A peer whose long values bypass the buffers, as on a connection: they are written to their place
 * in the arena as they arrive, and read from there once the kernel has taken everything before
 * them.
 */
import type { Area } from '../../lib/bytes/area.ts'
import { Inserts } from '../../lib/protocol/inserts.ts'
import { gather } from '../../lib/server/line/gather.ts'
import { Peer } from './server-session.ts'

export class DirectPeer extends Peer {
  readonly takesInserts = true
  /** Bytes written to their place. */
  directBytes = 0
  /** Bytes read from their place. */
  insertedBytes = 0
  private pending: { pieces: Uint8Array[]; inserts: Inserts } | null = null

  override flush(): boolean {
    const { reply } = this.host
    const { inserts } = reply
    if (inserts.count === 0) return super.flush()
    this.insertedBytes += inserts.bytes
    const pieces = gather(Buffer.from(reply.area.bytes.subarray(0, reply.length)), inserts)
    reply.area.bytes.fill(0xee)
    reply.length = 0
    this.pending = { pieces, inserts }
    reply.inserts = new Inserts()
    if (this.sticks()) return false
    this.settle()
    return true
  }

  override eat(): void {
    this.settle()
    super.eat()
  }

  /**
   * Runs while the outlet was stuck or bytes went to their place, because more may be read then.
   */
  override goOn(): void {
    for (let before = Number.POSITIVE_INFINITY; this.rest.length < before; ) {
      before = this.rest.length
      super.goOn()
      if (this.rest.length > 0) this.eat()
    }
    super.goOn()
  }

  /** The connection is gone, and so is what was waiting to be sent. */
  close(): void {
    this.pending?.inserts.clear()
    this.pending = null
    this.session.close()
  }

  /** Writes as much as the session wants to the value's place, the rest to the input. */
  protected override run(input: Area): number {
    const { session, rest } = this
    const view = session.isStuck() ? null : session.fillView()
    if (view === null || rest.length === 0) return super.run(input)
    const bytes = rest.copy(view)
    this.directBytes += bytes
    const start = session.filled(bytes)
    const end = view.byteOffset + bytes
    const stop = session.run(session.request.shard.arena.area, start, end)
    return bytes - (end - stop)
  }

  /** Sends what was waiting: only here values are read from their place. */
  private settle(): void {
    const { pending } = this
    if (pending === null) return
    for (const piece of pending.pieces) this.chunks.push(Buffer.from(piece))
    pending.inserts.clear()
    this.pending = null
  }
}
