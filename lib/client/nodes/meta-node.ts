// A server of a pool over memcached's meta commands, on our own connection. It implements all of
// PoolNode, with TLS and UNIX sockets, and many keys in one request.

import { CacheError, type CacheErrorCode } from '../../doors/errors.ts'
import { loopClock } from '../loop-clock.ts'
import {
  addressText,
  Connection,
  type ConnectionOptions,
  type ServerAddress,
} from './connection.ts'
import { Login } from './login.ts'
import { digitsOf, flagOf, type Reply } from './meta.ts'
import type {
  Arithmetic,
  Claim,
  ClaimRequest,
  Hit,
  PoolNode,
  Stored,
  StoreRequest,
} from './node.ts'
import type { Part } from './outbox.ts'

const GET_FLAGS = 'v f t c'
/** Ignores an answer. */
const HAND_BACK_MS = 10_000
/** Flags: won, won by another client, stale. */
const PENDING_FLAGS = new Set(['W', 'Z', 'X'])
const MODE_FLAGS = { set: '', add: ' ME', replace: ' MR', append: ' MA', prepend: ' MP' } as const

export class MetaNode implements PoolNode {
  readonly name: string
  private readonly address: ServerAddress
  private readonly options: ConnectionOptions
  private readonly login: Login
  private connection: Connection | undefined
  private isClosed = false

  /** Connects with the first request. */
  constructor(address: ServerAddress, options: ConnectionOptions = {}) {
    this.name = addressText(address)
    this.login = new Login(this.name)
    this.address = address
    this.options = options
  }

  async get(key: string, timeoutMs: number, exptime?: number): Promise<Hit | undefined> {
    const touch = exptime === undefined ? '' : ` T${exptime}`
    const text = `mg ${key} ${GET_FLAGS}${touch}\r\n`
    return this.ask([text], timeoutMs, GET_WORDS, reply => {
      return reply.word === 'EN' ? undefined : this.found(key, reply)
    })
  }

  async getMany(keys: readonly string[], timeoutMs: number): Promise<Map<string, Hit>> {
    const hits = new Map<string, Hit>()
    const text = keys.map(key => `mg ${key} ${GET_FLAGS} k q\r\n`).join('')
    const asked = new Set(keys)
    let failed: CacheError | undefined
    const take = (reply: Reply) => {
      if (reply.word === 'VA') {
        const key = utf8Of(flagOf(reply, 'k') ?? '')
        if (!asked.has(key)) throw new Error('a value nobody asked for')
        hits.set(key, this.found(key, reply))
      } else if (reply.word !== 'MN') failed = this.refusal(reply)
      return reply.word === 'MN'
    }
    await this.connect().request([`${text}mn\r\n`], take, timeoutMs)
    if (failed !== undefined) throw failed
    return hits
  }

  async store(request: StoreRequest, timeoutMs: number): Promise<Stored> {
    const { mode, key, value, flags, exptime, cas } = request
    const asked = cas === undefined ? '' : ` C${cas}`
    const head = `ms ${key} ${value.length} F${flags} T${exptime}${MODE_FLAGS[mode]}${asked}\r\n`
    return this.ask([head, value, '\r\n'], timeoutMs, STORE_WORDS, ({ word }) => {
      if (word === 'HD') return 'STORED'
      if (word === 'EX') return 'EXISTS'
      return word === 'NF' ? 'NOT_FOUND' : 'NOT_STORED'
    })
  }

  async delete(key: string, timeoutMs: number, cas?: bigint): Promise<boolean | 'EXISTS'> {
    const asked = cas === undefined ? '' : ` C${cas}`
    return this.ask([`md ${key}${asked}\r\n`], timeoutMs, CHANGE_WORDS, ({ word }) => {
      return word === 'EX' ? 'EXISTS' : word === 'HD'
    })
  }

  async touch(key: string, exptime: number, timeoutMs: number): Promise<boolean> {
    return this.ask([`mg ${key} T${exptime}\r\n`], timeoutMs, TOUCH_WORDS, isDone)
  }

  async lease(key: string, request: ClaimRequest, timeoutMs: number): Promise<Claim> {
    const { claimS, recacheS } = request
    const recache = recacheS === 0 ? '' : ` R${recacheS}`
    const text = `mg ${key} ${GET_FLAGS} N${claimS}${recache}\r\n`
    return this.ask([text], timeoutMs, GET_WORDS, reply => {
      // A server that knows no claims.
      if (reply.word === 'EN') throw new CacheError('SERVER', 'EN', { server: this.name })
      return {
        ...this.hitOf(reply),
        won: reply.tokens.includes('W'),
        isClaimed: reply.tokens.includes('Z'),
        isStale: reply.tokens.includes('X'),
      }
    })
  }

  async expire(key: string, cas: bigint, timeoutMs: number): Promise<boolean> {
    return this.ask([`md ${key} I C${cas}\r\n`], timeoutMs, CHANGE_WORDS, isDone)
  }

  /** Not by `ma` with N, which some releases of memcached 1.6 ignore. */
  async adjust(request: Arithmetic, timeoutMs: number): Promise<bigint | undefined> {
    const { key, delta, subtract, initial, exptime } = request
    const text = `ma ${key} D${delta}${subtract ? ' MD' : ''} v\r\n`
    const deadlineMs = loopClock.nowMs() + timeoutMs
    for (;;) {
      const leftMs = deadlineMs - loopClock.nowMs()
      if (leftMs <= 0) throw new CacheError('TIMEOUT', 'no answer in time', { server: this.name })
      const number = await this.ask([text], leftMs, COUNT_WORDS, numberOf)
      if (number !== undefined || initial === undefined) return number
      const value = Buffer.from(String(initial))
      const add = { mode: 'add', key, value, flags: 0, exptime } as const
      const addMs = deadlineMs - loopClock.nowMs()
      if ((await this.store({ ...add, cas: undefined }, addMs)) === 'STORED') return initial
    }
  }

  async flush(delayS: number, timeoutMs: number): Promise<void> {
    await this.ask([`flush_all ${delayS}\r\n`], timeoutMs, ['OK'], isDone)
  }

  async version(timeoutMs: number): Promise<string> {
    return this.ask(['version\r\n'], timeoutMs, ['VERSION'], ({ tokens }) => tokens.join(' '))
  }

  async stats(name: string, timeoutMs: number): Promise<Map<string, string>> {
    const lines = new Map<string, string>()
    let failed: CacheError | undefined
    const take = (reply: Reply) => {
      const [first = '', ...rest] = reply.tokens
      const isListed = STATS_LISTED.has(reply.word)
      if (isListed) lines.set(first, rest.join(' '))
      else if (!STATS_ENDS.has(reply.word)) failed = this.refusal(reply)
      return !isListed
    }
    await this.connect().request([`stats ${name}\r\n`], take, timeoutMs)
    if (failed !== undefined) throw failed
    return lines
  }

  async probe(timeoutMs: number): Promise<void> {
    await this.ask(['mn\r\n'], timeoutMs, ['MN'], isDone)
  }

  close(): void {
    this.isClosed = true
    this.connection?.close()
  }

  private connect(): Connection {
    if (this.isClosed)
      throw new CacheError('CLOSED', 'the client was closed', { server: this.name })
    if (this.connection !== undefined) return this.connection
    const refusal = this.login.standing()
    if (refusal !== undefined) throw refusal
    this.connection = new Connection(this.address, this.options, this.login, () => {
      this.connection = undefined
    })
    return this.connection
  }

  /** Sends one request whose reply must begin with one of these words. */
  private async ask<T>(
    parts: readonly Part[],
    timeoutMs: number,
    words: readonly string[],
    make: (reply: Reply) => T,
  ): Promise<T> {
    const read = (reply: Reply) => {
      if (words.includes(reply.word)) return make(reply)
      throw this.refusal(reply)
    }
    return this.connect().ask(parts, read, timeoutMs)
  }

  /**
   * A hit of a plain read. A server lets the first reader of a stale item win it, whatever the
   * request. A reader that will not make the value gives the win back. Servers without `E` here
   * refuse that.
   */
  private found(key: string, reply: Reply): Hit {
    const hit = this.hitOf(reply)
    if (reply.tokens.includes('W')) {
      const text = `md ${key} I C${hit.cas} E${hit.cas}\r\n`
      this.ask([text], HAND_BACK_MS, CHANGE_WORDS, isDone).catch(() => {})
    }
    return hit
  }

  private hitOf(reply: Reply): Hit {
    const hit = {
      value: reply.value ?? Buffer.alloc(0),
      flags: Number(digitsOf(reply, 'f')),
      cas: BigInt(digitsOf(reply, 'c')),
      ttlS: Number(digitsOf(reply, 't')),
    }
    return reply.tokens.some(token => PENDING_FLAGS.has(token)) ? { ...hit, isPending: true } : hit
  }

  /** The server's refusal. Throws Error for a reply that is none, so not one to what was asked. */
  private refusal(reply: Reply): CacheError {
    const words = [reply.word, ...reply.tokens].join(' ')
    if (!ERROR_WORDS.has(reply.word)) throw new Error(`not a reply to this: ${words.slice(0, 40)}`)
    const [, code = 'SERVER'] = REFUSALS.find(([pattern]) => pattern.test(words)) ?? []
    return new CacheError(code, words, { server: this.name })
  }
}

/** Error codes by the first words of a refusal. */
const REFUSALS: [words: RegExp, code: CacheErrorCode][] = [
  [/^SERVER_ERROR object too large/, 'TOO_LARGE'],
  [/^SERVER_ERROR out of memory/, 'NO_MEMORY'],
  [/^CLIENT_ERROR cannot increment or decrement/, 'NON_NUMERIC'],
]
const ERROR_WORDS = new Set(['ERROR', 'CLIENT_ERROR', 'SERVER_ERROR'])
const GET_WORDS = ['VA', 'EN']
const TOUCH_WORDS = ['HD', 'EN']
const CHANGE_WORDS = ['HD', 'NF', 'EX']
const COUNT_WORDS = ['VA', 'NF']
const STORE_WORDS = ['HD', 'EX', 'NF', 'NS']
/** First words of statistics rows: ITEM of `cachedump`, PREFIX of `detail dump`. */
const STATS_LISTED = new Set(['STAT', 'ITEM', 'PREFIX'])
const STATS_ENDS = new Set(['END', 'RESET', 'OK'])

function isDone({ word }: Reply): boolean {
  return word === 'HD'
}

/** The number in a reply; undefined if there is none. Error for anything else. */
function numberOf({ value }: Reply): bigint | undefined {
  if (value === undefined) return undefined
  const text = value.toString('latin1').trim()
  if (/^\d{1,20}$/.test(text)) return BigInt(text)
  throw new Error(`no number: ${text.slice(0, 20)}`)
}

/** Replies are read as latin1, but keys are UTF-8. */
function utf8Of(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString()
}
