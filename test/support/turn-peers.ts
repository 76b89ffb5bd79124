/**
 * Connections of one thread without sockets or kernel: a test sends requests to them, steps their
 * turns, and moves the clock that they look at.
 */
import type { Test } from 'tap'
import { Area } from '../../lib/bytes/area.ts'
import type { Host } from '../../lib/protocol/host.ts'
import type { Inserts } from '../../lib/protocol/inserts.ts'
import { READ_BYTES, READ_REST_BYTES_MAX, TURN_REQUESTS_MAX } from '../../lib/protocol/limits.ts'
import { Connection, type Hall } from '../../lib/server/connection.ts'
import { type Line, type LineOwner, Sent } from '../../lib/server/line/line.ts'
import { REPLY_ROOM_BYTES, Replies, type ReplyBuffer } from '../../lib/server/line/replies.ts'
import { Roster } from '../../lib/server/roster.ts'
import { Turns } from '../../lib/server/turns.ts'
import { createHost } from './server-session.ts'

/** The peer and the line of one connection. */
export class Peer implements Line {
  readonly takesInserts: boolean
  readonly ended = false
  readonly unsentBytes = 0
  got = ''
  /** Bytes of values that it got from their arena. */
  gotInserts = 0
  /** Replies wait for `finish`. */
  sendsSoon = false
  private readonly replies: Replies
  private readonly owner: LineOwner
  private readonly input = Area.allocate(READ_REST_BYTES_MAX + READ_BYTES)
  private kept: ReplyBuffer | null = null

  constructor(replies: Replies, owner: LineOwner, takesInserts: boolean) {
    this.takesInserts = takesInserts
    this.replies = replies
    this.owner = owner
  }

  send(requests: string): void
  send(from: ReplyBuffer, start: number, end: number, inserts: Inserts): Sent
  send(from: ReplyBuffer | string, start = 0, end = 0, inserts?: Inserts): Sent {
    if (typeof from === 'string') {
      const bytes = this.input.bytes.write(from, READ_REST_BYTES_MAX, 'latin1')
      this.owner.read(this.input, READ_REST_BYTES_MAX, bytes)
      return Sent.ALL
    }
    this.got += from.area.bytes.toString('latin1', start, end)
    this.gotInserts += inserts?.bytes ?? 0
    if (!this.sendsSoon) return Sent.ALL
    this.replies.keep(from, end)
    this.kept = from
    return Sent.SOON
  }

  finish(): void {
    if (this.kept !== null) this.replies.release(this.kept)
    this.kept = null
    this.owner.sent()
  }

  /** What it got since the last time. */
  take(): string {
    const { got } = this
    this.got = ''
    return got
  }

  resume(): void {}
  leave(): void {
    this.endSoon()
  }

  endSoon(): void {}
  destroy(): void {}
  abandon(): void {}
  endpoint() {
    return { address: '', port: 0 }
  }
}

/** Connections of one thread, and its clock, which advances by `stepMs` with each look. */
export function openPeers(t: Test, count: number, takesInserts = false) {
  const clock = { stepMs: 0 }
  let nowMs = 0
  t.intercept(performance, 'now', {
    value: () => {
      nowMs += clock.stepMs
      return nowMs
    },
  })
  const host: Host = {
    ...createHost(),
    turn: { requestsMax: TURN_REQUESTS_MAX, repliesMax: 2 ** 29 },
  }
  const roster = Roster.create(1, count)
  const turns = new Turns()
  const hall: Hall = {
    host,
    replies: new Replies(host.reply, REPLY_ROOM_BYTES, 2),
    roster,
    listeners: [{ address: '', state: '', protocol: 'auto', peerCheck: null }],
    open: new Set(),
    later: work => turns.add(work),
    fail: error => {
      throw error
    },
  }
  const peers = Array.from({ length: count }, () => {
    const made: { line?: Peer } = {}
    const slot = roster.take(0, 0, 'tcp:192.0.2.1:1', 0)
    new Connection(
      hall,
      owner => {
        made.line = new Peer(hall.replies, owner, takesInserts)
        return made.line
      },
      slot,
    )
    return made.line as Peer
  })
  return { host, turns, peers, clock }
}
