// A server of a pool through memjs, over the binary protocol, for servers that require SASL (-S),
// which the meta commands cannot do. What memjs cannot do, this cannot either: TLS and UNIX sockets
// are refused, the TTL of an item is unknown, there are no claims, and each key is one request.

import type { Response } from 'memjs'
import { RELATIVE_S_MAX } from '../../bytes/memcached.ts'
import { CacheError, type CacheErrorCode } from '../../doors/errors.ts'
import { loopClock } from '../loop-clock.ts'
import { addressText, type ConnectionOptions, type ServerAddress } from './connection.ts'
import { Connections } from './connections.ts'
import { Login } from './login.ts'
import { type Frame, MemjsLink, rowsOf } from './memjs-link.ts'
import type { Arithmetic, Hit, PoolNode, Stored, StoreMode, StoreRequest } from './node.ts'
import type { Life } from './version.ts'

/** Keys requested at the same time through memjs, each by its own request. */
const MEMJS_BATCH_KEYS = 1024

const Op = {
  GET: 0x00,
  DELETE: 0x04,
  INCREMENT: 0x05,
  DECREMENT: 0x06,
  FLUSH: 0x08,
  NOOP: 0x0a,
  VERSION: 0x0b,
  TOUCH: 0x1c,
  GET_AND_TOUCH: 0x1d,
} as const
const STORE_OPS = { set: 0x01, add: 0x02, replace: 0x03, append: 0x0e, prepend: 0x0f } as const
const Code = { OK: 0, NOT_FOUND: 1, EXISTS: 2, NOT_STORED: 5 } as const

/** Why a server refuses, by status. */
const REFUSALS = new Map<number, CacheErrorCode>([
  [0x03, 'TOO_LARGE'],
  [0x06, 'NON_NUMERIC'],
  [0x82, 'NO_MEMORY'],
])

type Ask = Partial<Frame> & { opcode: number }

const NOTHING = Buffer.alloc(0)
/** The exptime by which a missing number is not created. */
const NO_INITIAL = 0xffff_ffff
/** A time in the past, in a protocol without negative ones: above 30 days, so in 1970. */
const LONG_AGO = RELATIVE_S_MAX + 1

export class MemjsNode implements PoolNode {
  readonly name: string
  private readonly address: ServerAddress
  private readonly options: ConnectionOptions
  private readonly login: Login
  private readonly links: Connections<MemjsLink>
  private isClosed = false

  /** Connects with the first request. ARGUMENT for TLS and for the path of a UNIX socket. */
  constructor(address: ServerAddress, options: ConnectionOptions = {}) {
    this.name = addressText(address)
    this.login = new Login(this.name)
    this.links = new Connections(options.connections ?? 1, onEnd => this.open(onEnd))
    this.address = address
    this.options = options
    if (options.tls !== undefined) {
      throw new CacheError('ARGUMENT', 'the driver memjs speaks no TLS: use meta')
    }
    if (address.port !== undefined) return
    const words = `the driver memjs opens no UNIX socket: use meta for ${address.host}`
    throw new CacheError('ARGUMENT', words)
  }

  async get(key: string, timeoutMs: number, exptime?: number): Promise<Hit | undefined> {
    const plain = { opcode: Op.GET, key }
    const frame = exptime === undefined ? plain : { ...plain, ...touching(exptime) }
    const codes = [Code.OK, Code.NOT_FOUND]
    const send = async (link: MemjsLink) => {
      const response = await this.askOn(link, frame, timeoutMs, codes)
      return response.header.status === Code.OK ? hitOf(response, link.life) : undefined
    }
    return exptime === undefined ? send(this.links.pick(key)) : this.links.change(key, send)
  }

  async getMany(keys: readonly string[], timeoutMs: number): Promise<Map<string, Hit>> {
    const hits = new Map<string, Hit>()
    const deadlineMs = loopClock.nowMs() + timeoutMs
    for (let start = 0; start < keys.length; start += MEMJS_BATCH_KEYS) {
      const batch = keys.slice(start, start + MEMJS_BATCH_KEYS)
      const leftMs = deadlineMs - loopClock.nowMs()
      const found = await Promise.all(batch.map(key => this.get(key, leftMs)))
      for (const [i, hit] of found.entries()) if (hit !== undefined) hits.set(batch[i], hit)
    }
    return hits
  }

  async store(request: StoreRequest, timeoutMs: number): Promise<Stored> {
    if (request.cas === 0n) return this.refuseCas(request.key, timeoutMs)
    const { mode, key, value, flags, exptime, cas, life } = request
    const isJoined = mode === 'append' || mode === 'prepend'
    const extras = isJoined ? NOTHING : Buffer.alloc(8)
    if (!isJoined) {
      extras.writeUInt32BE(flags >>> 0, 0)
      extras.writeUInt32BE(unsigned(exptime), 4)
    }
    const frame = { opcode: STORE_OPS[mode], key, value, extras, cas: cas ?? 0n }
    return this.links.changeIn<Stored>({ key, life, timeoutMs }, 'EXISTS', async (link, ms) => {
      const { header } = await this.askOn(link, frame, ms, Object.values(Code))
      return storedOf(header.status, mode, cas)
    })
  }

  async delete(
    key: string,
    timeoutMs: number,
    cas?: bigint,
    life?: bigint,
  ): Promise<boolean | 'EXISTS'> {
    if (cas === 0n) return (await this.refuseCas(key, timeoutMs)) === 'EXISTS' ? 'EXISTS' : false
    const codes = [Code.OK, Code.NOT_FOUND, Code.EXISTS]
    const frame = { opcode: Op.DELETE, key, cas: cas ?? 0n }
    return this.links.changeIn({ key, life, timeoutMs }, 'EXISTS', async (link, ms) => {
      const { header } = await this.askOn(link, frame, ms, codes)
      return header.status === Code.EXISTS ? 'EXISTS' : header.status === Code.OK
    })
  }

  async touch(key: string, exptime: number, timeoutMs: number): Promise<boolean> {
    const frame = { ...touching(exptime), opcode: Op.TOUCH, key }
    const codes = [Code.OK, Code.NOT_FOUND]
    const { header } = await this.change(frame, timeoutMs, codes)
    return header.status === Code.OK
  }

  async adjust(request: Arithmetic, timeoutMs: number): Promise<bigint | undefined> {
    const { key, delta, subtract, initial, exptime } = request
    const extras = Buffer.alloc(20)
    extras.writeBigUInt64BE(delta, 0)
    extras.writeBigUInt64BE(initial ?? 0n, 8)
    extras.writeUInt32BE(initial === undefined ? NO_INITIAL : unsigned(exptime), 16)
    const frame = { opcode: subtract ? Op.DECREMENT : Op.INCREMENT, key, extras }
    const { header, val } = await this.change(frame, timeoutMs, [Code.OK, Code.NOT_FOUND])
    return header.status === Code.OK ? val.readBigUInt64BE(0) : undefined
  }

  async flush(delayS: number, timeoutMs: number): Promise<void> {
    const extras = Buffer.alloc(4)
    extras.writeUInt32BE(delayS, 0)
    await this.ask({ opcode: Op.FLUSH, extras }, timeoutMs)
  }

  async version(timeoutMs: number): Promise<string> {
    const { val } = await this.ask({ opcode: Op.VERSION }, timeoutMs)
    return val.toString()
  }

  async stats(name: string, timeoutMs: number): Promise<Map<string, string>> {
    return rowsOf(await this.links.pick().stats(name, timeoutMs))
  }

  async probe(timeoutMs: number): Promise<void> {
    await this.ask({ opcode: Op.NOOP }, timeoutMs)
  }

  close(): void {
    this.isClosed = true
    this.links.close()
  }

  /** In this protocol 0 means any version, though no item has version 0. */
  private async refuseCas(key: string, timeoutMs: number): Promise<'EXISTS' | 'NOT_FOUND'> {
    return (await this.get(key, timeoutMs)) === undefined ? 'NOT_FOUND' : 'EXISTS'
  }

  private open(onEnd: () => void): MemjsLink {
    if (this.isClosed)
      throw new CacheError('CLOSED', 'the client was closed', { server: this.name })
    const refusal = this.login.standing()
    if (refusal !== undefined) throw refusal
    return new MemjsLink(this.address, this.options, this.login, onEnd)
  }

  /** One request that is about no key. */
  private async ask(frame: Ask, timeoutMs: number): Promise<Response> {
    return this.askOn(this.links.pick(), frame, timeoutMs, [Code.OK])
  }

  private change(
    frame: Ask & { key: string },
    timeoutMs: number,
    codes: readonly number[],
  ): Promise<Response> {
    return this.links.change(frame.key, link => this.askOn(link, frame, timeoutMs, codes))
  }

  /** One request and its response, whose status is one of these. */
  private async askOn(
    link: MemjsLink,
    frame: Ask,
    timeoutMs: number,
    codes: readonly number[],
  ): Promise<Response> {
    const whole = { key: '', extras: NOTHING, value: NOTHING, cas: 0n, ...frame }
    const response = await link.request(whole, timeoutMs)
    const { status } = response.header
    if (codes.includes(status)) return response
    const words = response.val.toString() || `status ${status}`
    throw new CacheError(REFUSALS.get(status) ?? 'SERVER', words, { server: this.name })
  }
}

function hitOf({ header, extras, val }: Response, life: Life): Hit {
  const flags = extras.readUInt32BE(0)
  return {
    // memjs returns a view of everything that came with it.
    value: Buffer.from(val),
    flags,
    // The binary protocol cannot distinguish a claim from an empty text of another client.
    isPending: val.length === 0 && flags === 0,
    cas: header.cas.readBigUInt64BE(0),
    life,
    ttlS: undefined,
  }
}

function storedOf(status: number, mode: StoreMode, cas: bigint | undefined): Stored {
  if (status === Code.OK) return 'STORED'
  if (cas === undefined || mode !== 'set') return 'NOT_STORED'
  return status === Code.EXISTS ? 'EXISTS' : 'NOT_FOUND'
}

function touching(exptime: number): { opcode: number; extras: Buffer } {
  const extras = Buffer.alloc(4)
  extras.writeUInt32BE(unsigned(exptime), 0)
  return { opcode: Op.GET_AND_TOUCH, extras }
}

function unsigned(exptime: number): number {
  return exptime < 0 ? LONG_AGO : exptime
}
