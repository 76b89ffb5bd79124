// A server that sends a snapshot of itself: the reply to `snapshot`, piece by piece.

import type { Socket } from 'node:net'
import { KIB } from '../../bytes/units.ts'
import type { RingNode } from '../../client/ring/ring.ts'
import { type Access, openSocket } from './stats-link.ts'

/** How long a server may be silent, and the longest line that it answers with. */
const SILENCE_MS_MAX = 60_000
const LINE_BYTES_MAX = KIB

const LF = 10

export class SnapshotLink {
  private readonly socket: Socket
  private readonly input: AsyncIterator<Buffer>
  private rest: Buffer = Buffer.alloc(0)

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setTimeout(SILENCE_MS_MAX, () => socket.destroy(new Error('no answer in time')))
    this.input = socket[Symbol.asyncIterator]()
  }

  /** Asks for a snapshot. Rejects with an Error of one line where the server sends none. */
  static async open(server: RingNode, access: Access, hasCas: boolean): Promise<SnapshotLink> {
    const link = new SnapshotLink(await openSocket(server, access))
    link.socket.write(hasCas ? 'snapshot cas\r\n' : 'snapshot\r\n')
    const answer = await link.line()
    if (answer === 'OK') return link
    link.close()
    if (answer !== 'ERROR') throw new Error(answer)
    throw new Error('it sends no snapshots: it is no memslab, or an older one')
  }

  /** The next bytes. Rejects where the server ends before. */
  async read(length: number): Promise<Buffer> {
    while (this.rest.length < length) await this.more(length)
    const bytes = this.rest.subarray(0, length)
    this.rest = this.rest.subarray(length)
    return bytes
  }

  close(): void {
    this.socket.destroy()
  }

  private async line(): Promise<string> {
    let end = this.rest.indexOf(LF)
    while (end < 0) {
      if (this.rest.length > LINE_BYTES_MAX) throw new Error('a line without an end')
      await this.more(1)
      end = this.rest.indexOf(LF)
    }
    return (await this.read(end + 1)).toString('latin1').trimEnd()
  }

  /** Reads on, until there are `length` bytes or the server ends. */
  private async more(length: number): Promise<void> {
    const parts = [this.rest]
    let bytes = this.rest.length
    do {
      const { value, done } = await this.input.next()
      if (done === true) throw new Error('it closed the connection')
      parts.push(value)
      bytes += value.length
    } while (bytes < length)
    this.rest = Buffer.concat(parts)
  }
}
