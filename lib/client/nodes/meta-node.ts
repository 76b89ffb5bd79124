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
import { Connections } from './connections.ts'
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

/** The first words that a reply may have, and what it means. */
interface Reading<T> {
  words: readonly string[]
  make(reply: Reply, link: Connection): T
}

export class MetaNode implements PoolNode {
  readonly name: string
  readonly keepsOrder: boolean
  private readonly address: ServerAddress
  private readonly options: ConnectionOptions
  private readonly login: Login
  private readonly links: Connections<Connection>
  private isClosed = false

  /** Connects with the first request. */
  constructor(address: ServerAddress, options: ConnectionOptions = {}) {
    this.name = addressText(address)
    this.login = new Login(this.name)
    const { connections = 1 } = options
    this.keepsOrder = connections === 1
    this.links = new Connections(connections, onEnd => this.open(onEnd))
    this.address = address
    this.options = options
  }

  async get(key: string, timeoutMs: number, exptime?: number): Promise<Hit | undefined> {
    const touch = exptime === undefined ? '' : ` T${exptime}`
    const text = `mg ${key} ${GET_FLAGS}${touch}\r\n`
    const reading: Reading<Hit | undefined> = {
      words: GET_WORDS,
      make: (reply, link) => (reply.word === 'EN' ? undefined : this.found(key, reply, link)),
    }
    if (exptime !== undefined) return this.change(key, text, timeoutMs, reading)
    return this.ask(this.links.pick(key), [text], timeoutMs, reading)
  }

  async getMany(keys: readonly string[], timeoutMs: number): Promise<Map<string, Hit>> {
    const hits = new Map<string, Hit>()
    const groups = [...this.links.group(keys)]
    await Promise.all(groups.map(([link, group]) => this.collect(link, group, timeoutMs, hits)))
    return hits
  }

  async store(request: StoreRequest, timeoutMs: number): Promise<Stored> {
    const { mode, key, value, flags, exptime, cas, life } = request
    const asked = cas === undefined ? '' : ` C${cas}`
    const head = `ms ${key} ${value.length} F${flags} T${exptime}${MODE_FLAGS[mode]}${asked}\r\n`
    return this.links.changeIn<Stored>({ key, life, timeoutMs }, 'EXISTS', (link, ms) => {
      return this.ask(link, [head, value, '\r\n'], ms, STORE)
    })
  }

  async delete(
    key: string,
    timeoutMs: number,
    cas?: bigint,
    life?: bigint,
  ): Promise<boolean | 'EXISTS'> {
    const text = `md ${key}${cas === undefined ? '' : ` C${cas}`}\r\n`
    return this.links.changeIn<boolean | 'EXISTS'>({ key, life, timeoutMs }, 'EXISTS', (link, ms) =>
      this.ask(link, [text], ms, DELETE),
    )
  }

  async touch(key: string, exptime: number, timeoutMs: number): Promise<boolean> {
    return this.change(key, `mg ${key} T${exptime}\r\n`, timeoutMs, TOUCH)
  }

  async lease(key: string, request: ClaimRequest, timeoutMs: number): Promise<Claim> {
    const { claimS, recacheS } = request
    const recache = recacheS === 0 ? '' : ` R${recacheS}`
    const text = `mg ${key} ${GET_FLAGS} N${claimS}${recache}\r\n`
    const make = (reply: Reply, link: Connection) => {
      // A server that knows no claims.
      if (reply.word === 'EN') throw new CacheError('SERVER', 'EN', { server: this.name })
      return {
        ...hitOf(reply, link),
        won: reply.tokens.includes('W'),
        isClaimed: reply.tokens.includes('Z'),
        isStale: reply.tokens.includes('X'),
      }
    }
    return this.change(key, text, timeoutMs, { words: GET_WORDS, make })
  }

  async expire(key: string, cas: bigint, timeoutMs: number, life?: bigint): Promise<boolean> {
    return this.links.changeIn({ key, life, timeoutMs }, false, (link, ms) => {
      return this.ask(link, [`md ${key} I C${cas}\r\n`], ms, MARK)
    })
  }

  /** Not by `ma` with N, which some releases of memcached 1.6 ignore. */
  async adjust(request: Arithmetic, timeoutMs: number): Promise<bigint | undefined> {
    const { key, delta, subtract, initial, exptime } = request
    const text = `ma ${key} D${delta}${subtract ? ' MD' : ''} v\r\n`
    const deadlineMs = loopClock.nowMs() + timeoutMs
    for (;;) {
      const leftMs = deadlineMs - loopClock.nowMs()
      if (leftMs <= 0) throw new CacheError('TIMEOUT', 'no answer in time', { server: this.name })
      const number = await this.change(key, text, leftMs, COUNT)
      if (number !== undefined || initial === undefined) return number
      const value = Buffer.from(String(initial))
      const add = { mode: 'add', key, value, flags: 0, exptime } as const
      const addMs = deadlineMs - loopClock.nowMs()
      if ((await this.store({ ...add, cas: undefined }, addMs)) === 'STORED') return initial
    }
  }

  async flush(delayS: number, timeoutMs: number): Promise<void> {
    await this.askServer(`flush_all ${delayS}\r\n`, timeoutMs, { words: ['OK'], make: isDone })
  }

  async version(timeoutMs: number): Promise<string> {
    const make = ({ tokens }: Reply) => tokens.join(' ')
    return this.askServer('version\r\n', timeoutMs, { words: ['VERSION'], make })
  }

  async stats(name: string, timeoutMs: number): Promise<Map<string, string>> {
    return this.links.pick().stats(name, timeoutMs)
  }

  async probe(timeoutMs: number): Promise<void> {
    await this.askServer('mn\r\n', timeoutMs, { words: ['MN'], make: isDone })
  }

  close(): void {
    this.isClosed = true
    this.links.close()
  }

  private open(onEnd: () => void): Connection {
    if (this.isClosed)
      throw new CacheError('CLOSED', 'the client was closed', { server: this.name })
    const refusal = this.login.standing()
    if (refusal !== undefined) throw refusal
    return new Connection(this.address, this.options, this.login, onEnd)
  }

  /** A change of a key, by one request. */
  private change<T>(
    key: string,
    text: string,
    timeoutMs: number,
    { words, make }: Reading<T>,
  ): Promise<T> {
    return this.links.change(key, link => this.ask(link, [text], timeoutMs, { words, make }))
  }

  /** One request that is about no key. */
  private async askServer<T>(text: string, timeoutMs: number, reading: Reading<T>): Promise<T> {
    return this.ask(this.links.pick(), [text], timeoutMs, reading)
  }

  /** Sends one request whose reply must begin with one of these words. */
  private ask<T>(
    link: Connection,
    parts: readonly Part[],
    timeoutMs: number,
    { words, make }: Reading<T>,
  ): Promise<T> {
    const read = (reply: Reply) => {
      if (words.includes(reply.word)) return make(reply, link)
      throw this.refusal(reply)
    }
    return link.ask(parts, read, timeoutMs)
  }

  /**
   * A hit of a plain read. A server lets the first reader of a stale item win it, whatever the
   * request. A reader that will not make the value gives the win back. Servers without `E` here
   * refuse that.
   */
  private found(key: string, reply: Reply, link: Connection): Hit {
    const hit = hitOf(reply, link)
    if (reply.tokens.includes('W')) {
      const text = `md ${key} I C${hit.cas} E${hit.cas}\r\n`
      this.ask(link, [text], HAND_BACK_MS, MARK).catch(() => {})
    }
    return hit
  }

  /** Adds the hits among these keys to `hits`. */
  private async collect(
    link: Connection,
    keys: readonly string[],
    timeoutMs: number,
    hits: Map<string, Hit>,
  ): Promise<void> {
    const text = keys.map(key => `mg ${key} ${GET_FLAGS} k q\r\n`).join('')
    const asked = new Set(keys)
    let failed: CacheError | undefined
    const take = (reply: Reply) => {
      if (reply.word === 'VA') {
        const key = utf8Of(flagOf(reply, 'k') ?? '')
        if (!asked.has(key)) throw new Error('a value nobody asked for')
        hits.set(key, this.found(key, reply, link))
      } else if (reply.word !== 'MN') failed = this.refusal(reply)
      return reply.word === 'MN'
    }
    await link.request([`${text}mn\r\n`], take, timeoutMs)
    if (failed !== undefined) throw failed
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
const CHANGE_WORDS = ['HD', 'NF', 'EX']
const TOUCH: Reading<boolean> = { words: ['HD', 'EN'], make: isDone }
const MARK: Reading<boolean> = { words: CHANGE_WORDS, make: isDone }
const COUNT: Reading<bigint | undefined> = { words: ['VA', 'NF'], make: numberOf }
const DELETE: Reading<boolean | 'EXISTS'> = {
  words: CHANGE_WORDS,
  make: ({ word }) => (word === 'EX' ? 'EXISTS' : word === 'HD'),
}
const STORE: Reading<Stored> = {
  words: ['HD', 'EX', 'NF', 'NS'],
  make({ word }) {
    if (word === 'HD') return 'STORED'
    if (word === 'EX') return 'EXISTS'
    return word === 'NF' ? 'NOT_FOUND' : 'NOT_STORED'
  },
}

function hitOf(reply: Reply, { life }: Connection): Hit {
  const hit = {
    value: reply.value ?? Buffer.alloc(0),
    flags: Number(digitsOf(reply, 'f')),
    cas: BigInt(digitsOf(reply, 'c')),
    life,
    ttlS: Number(digitsOf(reply, 't')),
  }
  return reply.tokens.some(token => PENDING_FLAGS.has(token)) ? { ...hit, isPending: true } : hit
}

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
