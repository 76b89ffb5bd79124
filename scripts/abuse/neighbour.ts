// The neighbour of an attack: a few connections that store and read values at a gentle pace, and
// compare every byte with what they stored last. Also opens new connections, as clients do that
// start. Both are timed.

import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Histogram } from '../bench/histogram.ts'
import { loginOf, openPeer, PASSWORD } from './attack.ts'

/** Twice the threads of a server, so that each has a connection of the neighbour. */
const CONNECTIONS = 8
const KEYS = 50
const LENGTHS = [10, 100, 700, 3000, 9000]
const PAUSE_MS = 1
const CONNECT_EVERY_MS = 20
/** One request in so many is a set. */
const SET_EVERY = 5
const REPLY_MS_MAX = 30_000

export interface Seen {
  /** Requests, and new connections until their first reply, microseconds. */
  requests: Histogram
  connects: Histogram
  /** Keys that were gone, and sets that were refused: memory may be short under an attack. */
  misses: number
  refused: number
  /** Wrong replies, and connections that were lost; what the first one was. */
  wrong: number
  reason: string
}

export class Neighbour {
  readonly seen: Seen = {
    requests: new Histogram(),
    connects: new Histogram(),
    misses: 0,
    refused: 0,
    wrong: 0,
    reason: '',
  }
  private readonly port: number
  private readonly logsIn: boolean
  private isTiming = false
  private isEnding = false

  constructor(port: number, logsIn: boolean) {
    this.port = port
    this.logsIn = logsIn
  }

  /** Resolves once all connections have had a reply; `run` then resolves after `end`. */
  async open(): Promise<{ run: Promise<void> }> {
    const sockets = await Promise.all(Array.from({ length: CONNECTIONS }, () => this.connect()))
    const talks = sockets.map((socket, id) => this.guard(() => this.talk(socket, id)))
    return { run: Promise.all([...talks, this.guard(() => this.knock())]).then(() => undefined) }
  }

  /** From now on times count. */
  time(): void {
    this.isTiming = true
  }

  end(): void {
    this.isEnding = true
  }

  private async guard(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.blame(error instanceof Error ? error.message : String(error))
    }
  }

  private blame(reason: string): void {
    if (this.seen.wrong++ === 0) this.seen.reason = reason
  }

  private async connect(): Promise<Socket> {
    const socket = await openPeer(this.port)
    socket.setNoDelay(true)
    const replies = new Replies(socket)
    const [request, wanted] = this.logsIn ? [loginOf(PASSWORD), 'STORED'] : ['mn\r\n', 'MN']
    const reply = await replies.ask(request, isLine)
    if (reply !== `${wanted}\r\n`) throw new Error(`a new connection got ${reply}`)
    return socket
  }

  private async talk(socket: Socket, id: number): Promise<void> {
    const replies = new Replies(socket)
    const values = new Map<string, string>()
    for (let turn = 0; !this.isEnding; turn++) {
      const key = `neighbour${id}_${turn % KEYS}`
      const isSet = values.get(key) === undefined || turn % SET_EVERY === 0
      const beganMs = performance.now()
      if (isSet) await this.set(replies, values, key, turn)
      else await this.get(replies, values, key)
      if (this.isTiming) this.seen.requests.record((performance.now() - beganMs) * 1000)
      await sleep(PAUSE_MS)
    }
    socket.destroy()
  }

  private async set(replies: Replies, values: Map<string, string>, key: string, turn: number) {
    const value = `${key}:${turn}:`.padEnd(LENGTHS[turn % LENGTHS.length], `${turn}x`)
    const reply = await replies.ask(`set ${key} 0 0 ${value.length}\r\n${value}\r\n`, isLine)
    values.delete(key)
    if (reply === 'STORED\r\n') values.set(key, value)
    else if (reply.startsWith('SERVER_ERROR out of memory')) this.seen.refused++
    else this.blame(`a set got ${reply.slice(0, 100)}`)
  }

  private async get(replies: Replies, values: Map<string, string>, key: string): Promise<void> {
    const reply = await replies.ask(`get ${key}\r\n`, isGot)
    const value = values.get(key) ?? ''
    if (reply === `VALUE ${key} 0 ${value.length}\r\n${value}\r\nEND\r\n`) return
    values.delete(key)
    if (reply === 'END\r\n') this.seen.misses++
    else this.blame(`a get of ${key} got ${reply.length} bytes: ${reply.slice(0, 100)}`)
  }

  /** New connections: each until its first reply. */
  private async knock(): Promise<void> {
    while (!this.isEnding) {
      const beganMs = performance.now()
      const socket = await this.connect()
      socket.destroy()
      if (this.isTiming) this.seen.connects.record((performance.now() - beganMs) * 1000)
      await sleep(CONNECT_EVERY_MS)
    }
  }
}

const isLine = (reply: string): boolean => reply.endsWith('\r\n')
const isGot = (reply: string): boolean => reply.endsWith('END\r\n') || reply.startsWith('SERVER_')

/** The replies of one connection with one request at a time. */
class Replies {
  private readonly socket: Socket
  private text = ''
  private wake: () => void = () => {}

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (part: Buffer) => {
      this.text += part.toString('latin1')
      this.wake()
    })
    socket.on('close', () => this.wake())
  }

  async ask(request: string, isComplete: (reply: string) => boolean): Promise<string> {
    this.text = ''
    this.socket.write(request, 'latin1')
    const timer = setTimeout(() => this.socket.destroy(), REPLY_MS_MAX)
    try {
      while (!isComplete(this.text)) {
        if (this.socket.destroyed) throw new Error(`no reply to ${request.slice(0, 40)}`)
        await new Promise<void>(resolve => {
          this.wake = resolve
        })
      }
      return this.text
    } finally {
      clearTimeout(timer)
    }
  }
}
