// Admits connections: each gets a slot in the roster and a thread that serves it. Addresses that
// may not connect are closed first. Above the limit a connection is turned away with memcached's
// message. With -o no_maxconns_fast it waits instead, unread, until a slot is free; at most as many
// wait as the backlog holds.

import type { Socket } from 'node:net'
import { NO_METER } from '../access/meters.ts'
import type { Options } from '../options/options.ts'
import { Control, isAllowed, overridden, ThreadCounter } from '../protocol/host.ts'
import type { AclFile } from './access/acl-file.ts'
import type { AllowList } from './access/allow-list.ts'
import { addressText } from './listen/address.ts'
import type { MainThreadService } from './main-thread.ts'
import type { Roster } from './roster.ts'
import { say } from './system/log.ts'
import { RareLog } from './system/rare-log.ts'
import type { Workers } from './workers.ts'

/** How often a free slot is searched while connections wait (memcached: 10 ms). */
const DOOR_POLL_MS = 10

const TOO_MANY_CONNECTIONS = 'ERROR Too many open connections\r\n'
/** memcached's text for the address of a UNIX socket's peer, which has none. */
const NO_ADDRESS = '?:<AF 0>'

/** At the start; `config set` may change the first two. */
type Limits = Pick<Options, 'connectionsMax' | 'maxconnsFast' | 'backlog'>

interface Arrival {
  socket: Socket
  listener: number
  /** It came by a UNIX socket, which workers cannot serve. */
  isUnix: boolean
}

/** The threads that serve connections. */
export interface Servers {
  workers: Workers
  /** For the connections of UNIX sockets. */
  mainThread: MainThreadService | undefined
}

export class Door {
  private readonly roster: Roster
  private readonly nowS: () => number
  private readonly atStart: Limits
  private readonly allowed: AllowList
  private readonly access: AclFile | null
  private readonly refusals: RareLog
  private readonly waiting: Arrival[] = []
  private servers: Servers | undefined
  private poll: NodeJS.Timeout | undefined
  private shutMs = 0

  constructor(
    roster: Roster,
    atStart: Limits,
    allowed: AllowList,
    access: AclFile | null,
    nowS: () => number,
  ) {
    this.roster = roster
    this.nowS = nowS
    this.atStart = atStart
    this.allowed = allowed
    this.access = access
    this.refusals = new RareLog(line => {
      if (roster.control[Control.VERBOSITY] > 0) say(line, 'warn')
    })
  }

  /** Admits the connections that came before, and all from now on. */
  open(servers: Servers): void {
    this.servers = servers
    for (const { socket, listener, isUnix } of this.waiting.splice(0)) {
      this.welcome(socket, listener, isUnix)
    }
  }

  welcome(socket: Socket, listener: number, isUnix: boolean): void {
    socket.on('error', () => {})
    if (!isUnix && !this.maySee(socket)) return
    const arrival = { socket, listener, isUnix }
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

  /** Whether this address may connect; otherwise the connection is closed without a word. */
  private maySee(socket: Socket): boolean {
    const { remoteAddress } = socket
    // One that is gone has no address any more.
    if (remoteAddress === undefined) return true
    if (this.allowed.admits(remoteAddress)) return true
    this.roster.countersOf(this.roster.mainThread)[ThreadCounter.ADDRESSES_REFUSED]++
    this.refusals.note(`connection refused: ${remoteAddress} may not connect (--allow)`)
    socket.destroy()
    return false
  }

  /** The meter of the address; NO_METER: it is not limited. */
  private meterOf({ remoteAddress }: Socket): number {
    return remoteAddress === undefined
      ? NO_METER
      : (this.access?.meterOf(remoteAddress) ?? NO_METER)
  }

  private get connectionsMax(): number {
    const { control } = this.roster
    return overridden(control, Control.CONNECTIONS_MAX, this.atStart.connectionsMax)
  }

  private get waitingMax(): number {
    const { control } = this.roster
    const isFast = isAllowed(control, Control.MAXCONNS_FAST, this.atStart.maxconnsFast)
    return isFast ? 0 : this.atStart.backlog
  }

  /** Closes those that wait. */
  close(): void {
    clearInterval(this.poll)
    for (const { socket } of this.waiting.splice(0)) socket.destroy()
  }

  /** Hands a connection to a thread. False: no slot is free. */
  private admit({ socket, listener, isUnix }: Arrival, servers: Servers): boolean {
    const { roster } = this
    const { workers } = servers
    const mainThread = isUnix ? servers.mainThread : undefined
    const address = mainThread === undefined ? peerText(socket) : NO_ADDRESS
    if (address === undefined) {
      socket.destroy()
      return true
    }
    const thread = mainThread === undefined ? workers.leastLoaded() : roster.mainThread
    if (roster.current() >= this.connectionsMax) return false
    const meter = mainThread === undefined ? this.meterOf(socket) : NO_METER
    if (meter !== NO_METER && roster.meters?.join(meter) === false) {
      roster.countersOf(roster.mainThread)[ThreadCounter.CONNECTIONS_LIMITED]++
      this.refusals.note(`connection refused: ${address} has too many (--acl)`)
      socket.end(TOO_MANY_CONNECTIONS, () => socket.destroy())
      return true
    }
    const slot = roster.take(thread, listener, address, this.nowS(), meter)
    if (slot < 0) {
      if (meter !== NO_METER) roster.meters?.leave(meter)
      return false
    }
    if (mainThread !== undefined) {
      mainThread.serve(socket, slot)
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

/** Undefined: the connection is already closed. */
function peerText({ remoteAddress, remotePort }: Socket): string | undefined {
  if (remoteAddress === undefined || remotePort === undefined) return undefined
  return addressText(remoteAddress, remotePort)
}
