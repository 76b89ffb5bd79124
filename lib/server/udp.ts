// UDP: a request in one datagram, its reply in one or more, all big endian:
//
//   0  request id         the peer's; every datagram of the reply carries it
//   2  sequence number    of this datagram in its message, from 0
//   4  datagrams          in the message; 1 for requests
//   6  reserved           0
//   8  the request, or the next part of the reply
//
// The main thread serves it (main-thread.ts). Nothing is kept from one datagram to the next: a
// request that is incomplete in its datagram, comes in several, or cannot be answered is dropped
// silently. The reply to one datagram is one message, bounded. (memcached begins a message for each
// item of a reply, so that a peer has to guess how many will come.)
//
// Datagrams wait for their turn behind the thread's other peers (turns.ts), so that a flood of them
// delays no connection for long. What comes beyond a bound is dropped, as a full socket does.
//
// Addresses of senders can be forged. So nothing is answered that comes from the daemon's own port
// or is itself an error reply. No reply is a command, so a reply is answered by an error, and two
// daemons cannot be made to answer each other forever.

import assert from 'node:assert/strict'
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv6 } from 'node:net'
import { NO_METER } from '../access/meters.ts'
import { Area } from '../bytes/area.ts'
import { KIB, MIB } from '../bytes/units.ts'
import type { Options } from '../options/options.ts'
import { ThreadCounter } from '../protocol/host.ts'
import { TURN_MS_MAX } from '../protocol/limits.ts'
import { type Outlet, Session } from '../protocol/session.ts'
import type { AclFile } from './access/acl-file.ts'
import type { AllowList } from './access/allow-list.ts'
import { datagramDescriptorOf } from './line/node-handle.ts'
import {
  addressText,
  type Bound,
  bindEach,
  closeAll,
  type Inheritance,
  type Listener,
  type PassedListener,
} from './listen/address.ts'
import type { MainThreadService } from './main-thread.ts'

/** The longest datagram of a reply, header included (memcached: 1400), and the header. */
const UDP_DATAGRAM_BYTES_MAX = 1400
const UDP_HEADER_BYTES = 8

/** The longest reply to one datagram: an item of a megabyte, in about 800 datagrams. */
export const UDP_REPLY_BYTES_MAX = MIB + 64 * KIB

/** Replies that wait in a UDP socket; while there are more, requests are dropped. */
const UDP_SEND_BYTES_MAX = 4 * MIB

/** Datagrams that wait to be answered, and their bytes. */
export const UDP_WAITING_MAX = 256
const UDP_WAITING_BYTES_MAX = MIB

/** Datagrams that are answered in one turn, which also ends by time. */
export const UDP_TURN_DATAGRAMS = 16

export interface UdpListener extends Listener {
  bound: Bound
  socket: Socket
}

const BODY_BYTES_MAX = UDP_DATAGRAM_BYTES_MAX - UDP_HEADER_BYTES
assert(UDP_REPLY_BYTES_MAX < 65535 * BODY_BYTES_MAX, 'datagrams of a reply are numbered in 16 bits')
const DATAGRAMS_AT = 4
const BINARY_MAGIC = 0x80
const TOO_LARGE = Buffer.from('SERVER_ERROR reply too large for UDP\r\n')
const NOTHING = Buffer.alloc(0)

/**
 * Binds UDP sockets to the addresses of the options, or takes those of a service manager in their
 * place. Each drops what it gets until it is served.
 */
export async function bindUdp(
  { udpPort, listen, port }: Options,
  heritage?: Inheritance,
  activated: readonly PassedListener[] = [],
): Promise<UdpListener[]> {
  const listeners: UdpListener[] = []
  if (activated.length > 0) return Promise.all(activated.map(openActivated))
  if (udpPort === 0) return listeners
  // A port that -l names is for UDP too.
  const list = listen.map(wanted => ({
    ...wanted,
    port: wanted.port === port ? Math.max(0, udpPort) : wanted.port,
  }))
  try {
    await bindEach(list, Math.max(0, udpPort), async ({ host, port }) => {
      // Two TCP listeners on one host want the same UDP port: one socket serves both.
      const same = listeners.find(({ bound }) => bound.address === host && bound.port === port)
      if (same !== undefined) return same.bound
      const listener = await bindOne(host, port, heritage?.takeListener('udp', host, port))
      listeners.push(listener)
      return listener.bound
    })
  } catch (error) {
    await closeAll(listeners)
    throw Object.assign(error as Error, { place: `UDP port ${udpPort}` })
  }
  return listeners
}

function openActivated(passed: PassedListener): Promise<UdpListener> {
  const { address, family, port } = passed
  return bindOne(address || (family === 'IPv6' ? '::' : '0.0.0.0'), port, passed)
}

async function bindOne(
  host: string,
  port: number,
  passed: PassedListener | undefined,
): Promise<UdpListener> {
  const ipv6Only = isIPv6(host)
  const isActivated = passed?.isActivated === true
  const startsHere = passed === undefined || passed.address === ''
  const type = ipv6Only ? 'udp6' : 'udp4'
  const socket = createSocket({ type, ipv6Only, sendBufferSize: UDP_SEND_BYTES_MAX })
  const wanted = passed === undefined ? { address: host, port } : { fd: passed.descriptor }
  const bind = async () => {
    const bound = once(socket, 'listening')
    socket.bind({ ...wanted, exclusive: true })
    await bound
    socket.on('error', () => {})
  }
  if (startsHere) await bind()
  const family = ipv6Only ? 'IPv6' : 'IPv4'
  const place = startsHere ? socket.address() : { ...passed, family }
  const { address } = place
  const facts = {
    address: addressText(address, place.port, 'udp'),
    state: 'conn_read',
    protocol: 'auto',
    peerCheck: null,
  } as const
  let closed: Promise<void> | undefined
  const close = () => {
    closed ??= new Promise<void>(resolve => socket.close(resolve))
    return closed
  }
  return {
    facts,
    bound: { address, port: place.port, family: place.family },
    socket,
    passed: () => {
      const descriptor = datagramDescriptorOf(socket)
      return { kind: 'udp', address, port: place.port, isActivated, descriptor }
    },
    start: async () => {
      if (!startsHere) await bind()
    },
    leave: () => void close(),
    close,
  }
}

interface Waiting {
  datagram: Buffer
  peer: RemoteInfo
}

/** Answers the datagrams of one socket. */
export class UdpService implements Outlet {
  readonly takesLogins = false
  private readonly mainThread: Pick<MainThreadService, 'host' | 'guard' | 'later'>
  private readonly socket: Socket
  private readonly port: number
  private readonly id: number
  private readonly allowed: Pick<AllowList, 'admits'>
  private readonly access: AclFile | null
  private readonly waiting: Waiting[] = []
  private waitingBytes = 0
  /** The current reply, as far as it was flushed. */
  private parts: Buffer[] = []
  private replyBytes = 0
  private isTooLarge = false
  private isDropped = false

  /** `id`: the listener's number in `stats conns`. */
  constructor(
    mainThread: Pick<MainThreadService, 'host' | 'guard' | 'later'>,
    { socket, bound }: Pick<UdpListener, 'socket' | 'bound'>,
    id: number,
    allowed: Pick<AllowList, 'admits'>,
    access: AclFile | null = null,
  ) {
    this.mainThread = mainThread
    this.socket = socket
    this.port = bound.port
    this.id = id
    this.allowed = allowed
    this.access = access
    socket.on('message', (datagram, peer) => {
      if (this.isWelcome(peer) && this.isRequest(datagram, peer)) this.enqueue(datagram, peer)
    })
  }

  flush(): boolean {
    const { reply } = this.mainThread.host
    const { area, start, length } = reply
    this.replyBytes += length - start
    this.isTooLarge = this.replyBytes > UDP_REPLY_BYTES_MAX
    if (!this.isTooLarge) this.parts.push(Buffer.from(area.bytes.subarray(start, length)))
    reply.length = start
    return !this.isTooLarge
  }

  /** A reply that would have to wait is not sent by UDP. */
  later(): void {
    this.isDropped = true
  }

  private isWelcome({ address }: RemoteInfo): boolean {
    if (this.allowed.admits(address)) return true
    this.mainThread.host.counters[ThreadCounter.ADDRESSES_REFUSED]++
    return false
  }

  private isRequest(datagram: Buffer, { port }: RemoteInfo): boolean {
    if (datagram.length <= UDP_HEADER_BYTES || port === 0 || port === this.port) return false
    if (datagram.readUInt16BE(DATAGRAMS_AT) !== 1) return false
    const text = datagram.toString('latin1', UDP_HEADER_BYTES, UDP_HEADER_BYTES + REFUSAL_BYTES_MAX)
    return !REFUSALS.some(word => text.startsWith(word))
  }

  private enqueue(datagram: Buffer, peer: RemoteInfo): void {
    const { waiting } = this
    const bytes = this.waitingBytes + datagram.length
    if (waiting.length === UDP_WAITING_MAX || bytes > UDP_WAITING_BYTES_MAX) return
    waiting.push({ datagram, peer })
    this.waitingBytes = bytes
    if (waiting.length === 1) this.mainThread.later(this.serve)
  }

  /** One turn. */
  private readonly serve = (): void => {
    const startedMs = performance.now()
    for (let answered = 0; answered < UDP_TURN_DATAGRAMS; answered++) {
      const next = this.waiting.shift()
      if (next === undefined) return
      this.waitingBytes -= next.datagram.length
      if (this.socket.getSendQueueSize() >= UDP_SEND_BYTES_MAX) continue
      this.mainThread.guard(() => this.answer(next.datagram, next.peer))
      if (performance.now() - startedMs >= TURN_MS_MAX) break
    }
    if (this.waiting.length > 0) this.mainThread.later(this.serve)
  }

  private answer(datagram: Buffer, peer: RemoteInfo): void {
    const { host } = this.mainThread
    const session = new Session(host, this, this.id)
    const meter = this.access?.meterOf(peer.address) ?? NO_METER
    if (this.isAboveLimit(meter) || this.isAboveLimit(session.pass?.meter ?? NO_METER)) return
    host.counters[ThreadCounter.BYTES_READ] += datagram.length
    const input = new Area(datagram.subarray(UDP_HEADER_BYTES))
    this.parts = []
    this.replyBytes = 0
    this.isTooLarge = false
    this.isDropped = false
    session.run(input, 0, input.bytes.length)
    this.flush()
    session.close()
    const reply = this.isTooLarge ? refusalOf(input.bytes) : Buffer.concat(this.parts)
    this.parts = []
    this.charge(session, meter, datagram.length + reply.length)
    if (!this.isDropped) this.send(datagram.readUInt16BE(0), reply, peer)
  }

  /** A datagram of who owes too much is dropped: it cannot wait. */
  private isAboveLimit(meter: number): boolean {
    if (meter === NO_METER || this.access === null) return false
    if (this.access.meters.waitMs(meter, Date.now()) === 0) return false
    this.mainThread.host.counters[ThreadCounter.DATAGRAMS_LIMITED]++
    return true
  }

  private charge({ pass, requestCount }: Session, meter: number, bytes: number): void {
    if (pass === null || this.access === null) return
    this.mainThread.host.counters[ThreadCounter.REQUESTS_DENIED] += pass.refused
    const requests = Math.max(pass.asked, requestCount)
    const { meters } = this.access
    if (meter !== NO_METER) meters.charge(meter, requests, bytes)
    if (pass.meter !== NO_METER) meters.charge(pass.meter, requests, bytes)
  }

  private send(requestId: number, reply: Buffer, { port, address }: RemoteInfo): void {
    const { counters } = this.mainThread.host
    const count = Math.ceil(reply.length / BODY_BYTES_MAX)
    for (let sequence = 0; sequence < count; sequence++) {
      const body = reply.subarray(sequence * BODY_BYTES_MAX, (sequence + 1) * BODY_BYTES_MAX)
      const datagram = Buffer.allocUnsafe(UDP_HEADER_BYTES + body.length)
      datagram.writeUInt16BE(requestId, 0)
      datagram.writeUInt16BE(sequence, 2)
      datagram.writeUInt16BE(count, DATAGRAMS_AT)
      datagram.writeUInt16BE(0, 6)
      body.copy(datagram, UDP_HEADER_BYTES)
      counters[ThreadCounter.BYTES_WRITTEN] += datagram.length
      this.socket.send(datagram, port, address, ignore)
    }
  }
}

/** The beginnings of error replies. */
const REFUSALS = ['ERROR', 'CLIENT_ERROR', 'SERVER_ERROR']
const REFUSAL_BYTES_MAX = 12

function refusalOf(request: Buffer): Buffer {
  return request[0] === BINARY_MAGIC ? NOTHING : TOO_LARGE
}

// An unreachable peer is reported here, and nothing can be done about it.
function ignore(): void {}
