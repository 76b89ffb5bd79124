// Where connections come in: finds each a place in the roster and the thread that serves it. Above
// the limit a connection is sent away in memcached's words or, with -o no_maxconns_fast, waits, paused
// and unread, until a place is free; those that wait are bounded by the backlog.

import type { Socket } from 'node:net'
import type { Options } from '../options/options.ts'
import { addressText } from './address.ts'
import type { LocalService } from './main-thread.ts'
import type { Roster } from './roster.ts'
import type { Workers } from './workers.ts'

/** How often the door looks for a free place while connections wait for one (memcached: 10 ms). */
const DOOR_POLL_MS = 10

const TOO_MANY_CONNECTIONS = 'ERROR Too many open connections\r\n'
/** How memcached writes the address of a peer of a UNIX socket: it has none. */
const NO_ADDRESS = '?:<AF 0>'

interface Arrival {
  socket: Socket
  listener: number
}

/** Who serves connections. */
export interface Servers {
  workers: Workers
  /** Given when connections come through a UNIX socket: workers cannot have them. */
  local: LocalService | undefined
}

export class Door {
  private readonly roster: Roster
  private readonly nowS: () => number
  private readonly connectionsMax: number
  private readonly waitingMax: number
  private readonly waiting: Arrival[] = []
  private servers: Servers | undefined
  private poll: NodeJS.Timeout | undefined
  private shutMs = 0

  constructor(
    roster: Roster,
    { connectionsMax, maxconnsFast, backlog }: Options,
    nowS: () => number,
  ) {
    this.roster = roster
    this.nowS = nowS
    this.connectionsMax = connectionsMax
    this.waitingMax = maxconnsFast ? 0 : backlog
  }

  /** From now on somebody serves; those that came before are let in. */
  open(servers: Servers): void {
    this.servers = servers
    for (const { socket, listener } of this.waiting.splice(0)) this.welcome(socket, listener)
  }

  welcome(socket: Socket, listener: number): void {
    socket.on('error', () => {})
    const arrival = { socket, listener }
    const { servers, waiting } = this
    if (servers === undefined) {
      if (waiting.length < this.connectionsMax) waiting.push(arrival)
      else this.turnAway(socket)
      return
    }
    if (waiting.length === 0 && this.admit(arrival, servers)) return
    if (waiting.length < this.waitingMax) this.wait(arrival, servers)
    else this.turnAway(socket)
  }

  /** Ends those that wait. */
  close(): void {
    clearInterval(this.poll)
    for (const { socket } of this.waiting.splice(0)) socket.destroy()
  }

  /** Hands a connection to the thread that serves it; false if there is no place for it. */
  private admit({ socket, listener }: Arrival, { workers, local }: Servers): boolean {
    const { roster } = this
    const address = local === undefined ? peerText(socket) : NO_ADDRESS
    if (address === undefined) {
      socket.destroy()
      return true
    }
    const thread = local === undefined ? workers.leastLoaded() : roster.mainThread
    const slot = roster.take(thread, listener, address, this.nowS())
    if (slot < 0) return false
    if (local !== undefined) {
      local.serve(socket, slot)
    } else if (!workers.deliver(thread, socket, slot)) {
      roster.give(slot)
      socket.destroy()
    }
    return true
  }

  private turnAway(socket: Socket): void {
    this.roster.countRejection()
    socket.end(TOO_MANY_CONNECTIONS, () => socket.destroy())
  }

  private wait(arrival: Arrival, servers: Servers): void {
    if (this.waiting.push(arrival) > 1) return
    this.shutMs = performance.now()
    this.roster.shut()
    this.poll = setInterval(() => this.admitWaiting(servers), DOOR_POLL_MS)
  }

  private admitWaiting(servers: Servers): void {
    while (this.waiting.length > 0 && this.admit(this.waiting[0], servers)) this.waiting.shift()
    if (this.waiting.length > 0) return
    clearInterval(this.poll)
    this.roster.reopen(Math.round((performance.now() - this.shutMs) * 1000))
  }
}

/** Undefined: the peer is gone already. */
function peerText({ remoteAddress, remotePort }: Socket): string | undefined {
  if (remoteAddress === undefined || remotePort === undefined) return undefined
  return addressText(remoteAddress, remotePort)
}
