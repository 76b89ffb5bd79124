// A store of HTTP responses for undici's cache interceptor, shared by all processes of a pool.
//
//   const store = new HttpCacheStore(pool)
//   setGlobalDispatcher(new Agent().compose(interceptors.cache({ store })))
//
// Each URI has a record: a random id, and the lists of header names by which its responses vary. A
// response lies under the id, the method and the values of these headers. To invalidate a URI is to
// delete its record. A response whose request began before that is stored under the old id, where
// nobody finds it.
//
// Whoever has read a response to its end finds it at once in the same process: a get waits for the
// stores of its URI whose bodies have ended.
//
// If the cache fails, requests go to their origin and `onError` is called.

import '../client-node-version.ts'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Writable } from 'node:stream'
import { KIB, MIB } from '../bytes/units.ts'
import { checkOptions, checkType, countOption } from '../doors/arguments.ts'
import { CacheError } from '../doors/errors.ts'
import type { Store } from '../doors/types.ts'
import { decode, encode } from '../strategies/encoding.ts'
import { fitKey } from '../strategies/keys.ts'
import { type OnError, reporter } from '../strategies/reporter.ts'

/** Most that a server takes by default, less what goes with a body. */
const BODY_BYTES_MAX = MIB - 64 * KIB
/** Lists of headers by which the responses of one URI vary, and tries to add one. */
const VARIANTS_MAX = 16
const TRIES_MAX = 5
const ID_BYTES = 9
const HEAD_BYTES = 4
const AS_BYTES = { as: 'bytes' } as const

type Headers = Record<string, string | string[]>

/** A request, as undici names it. */
export interface HttpRequestKey {
  origin: string
  method: string
  path: string
  headers?: Headers | undefined
}

/** A response without its body. Times in ms as from `Date.now()`. */
export interface HttpResponseFacts {
  statusCode: number
  statusMessage: string
  headers: Headers
  vary?: Record<string, string | string[] | null>
  etag?: string
  cacheControlDirectives?: object
  cachedAt: number
  staleAt: number
  deleteAt: number
}

/** `cacheControlDirectives` is there whenever undici stored it. */
export type CachedHttpResponse = HttpResponseFacts & {
  /** In one piece; a list, because undici iterates over it. */
  body: Buffer[]
  cacheControlDirectives: object
}

export interface HttpCacheOptions {
  /** Prefix of keys in the cache. Default `http:`. */
  prefix?: string | undefined
  /** Longer bodies are not stored. Default 983,040: servers take items of 1 MiB. */
  bodyBytesMax?: number | undefined
  /** Called with errors of the cache and the key. Default: a warning. */
  onError?: OnError | undefined
}

interface UriRecord {
  id: string
  variants: string[][]
  /** When the last of its responses is deleted, ms. */
  until: number
}

export class HttpCacheStore {
  private readonly cache: Store
  private readonly prefix: string
  private readonly bodyBytesMax: number
  private readonly report: OnError
  /** Bodies that are on their way into the cache, by URI. */
  private readonly writing = new Map<string, Set<Writable>>()

  /** CacheError ARGUMENT for wrong options. */
  constructor(cache: Store, options: HttpCacheOptions = {}) {
    checkOptions(options, ['prefix', 'bodyBytesMax', 'onError'])
    const { prefix = 'http:' } = options
    checkType('prefix', prefix, 'string')
    checkType('onError', options.onError, 'function')
    this.cache = cache
    this.prefix = prefix
    this.bodyBytesMax = countOption(options, 'bodyBytesMax', BODY_BYTES_MAX, [0, 2 ** 31 - 1])
    this.report = reporter(options.onError)
  }

  /** The stored response to such a request; undefined if there is none or the cache failed. */
  async get(request: HttpRequestKey): Promise<CachedHttpResponse | undefined> {
    try {
      await this.written(request)
      const record = (await this.recordOf(request))?.record
      if (record === undefined) return undefined
      const keys = record.variants.map(names => this.keyOf(record, request, names))
      const found = await this.cache.getMany<Buffer>(keys, AS_BYTES)
      for (const key of keys) {
        const response = unpack(found.get(key))
        if (response !== undefined && response.deleteAt > Date.now()) return response
      }
    } catch (error) {
      this.report(error, uriOf(request))
    }
    return undefined
  }

  /** Takes the body. The response is stored when the stream ends. */
  createWriteStream(request: HttpRequestKey, facts: HttpResponseFacts): Writable | undefined {
    if (facts.deleteAt <= Date.now()) return undefined
    const record = this.recordFor(request, facts)
    record.catch(() => {})
    const { bodyBytesMax } = this
    const parts: Buffer[] = []
    let bytes = 0
    const stream = new Writable({
      write(part: Buffer, _, done) {
        bytes += part.length
        parts.push(part)
        if (bytes > bodyBytesMax) this.destroy()
        done()
      },
      final: done => {
        record
          .then(record => this.put(record, request, facts, parts))
          .then(
            () => done(),
            error => {
              this.report(error, uriOf(request))
              done(error)
            },
          )
      },
    })
    this.note(uriOf(request), stream)
    return stream
  }

  /** Deletes all responses of a URI. Never rejects: undici would not catch it. */
  async delete(request: HttpRequestKey): Promise<void> {
    try {
      await this.cache.delete(this.recordKeyOf(request))
    } catch (error) {
      this.report(error, uriOf(request))
    }
  }

  private note(uri: string, stream: Writable): void {
    const streams = this.writing.get(uri) ?? new Set()
    this.writing.set(uri, streams.add(stream))
    stream.once('close', () => {
      streams.delete(stream)
      if (streams.size === 0 && this.writing.get(uri) === streams) this.writing.delete(uri)
    })
  }

  /** Resolves when the responses of a URI are stored whose bodies have ended. */
  private async written(request: HttpRequestKey): Promise<void> {
    const streams = this.writing.get(uriOf(request))
    if (streams === undefined) return
    const ended = [...streams].filter(({ writableEnded }) => writableEnded)
    await Promise.all(ended.map(stream => once(stream, 'close').catch(() => {})))
  }

  private async put(
    record: UriRecord,
    request: HttpRequestKey,
    facts: HttpResponseFacts,
    body: Buffer[],
  ): Promise<void> {
    const key = this.keyOf(record, request, namesOf(facts))
    await this.cache.set(key, pack(facts, body), { expiresAt: facts.deleteAt })
  }

  /** The record of a URI with the headers and time of this response, made if there is none. */
  private async recordFor(request: HttpRequestKey, facts: HttpResponseFacts): Promise<UriRecord> {
    const names = namesOf(facts)
    const key = this.recordKeyOf(request)
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const found = await this.recordOf(request)
      const { record = emptyRecord(), cas } = found ?? {}
      const isListed = record.variants.some(list => isSame(list, names))
      if (isListed && record.until >= facts.deleteAt) return record
      const variants = isListed ? record.variants : [names, ...record.variants]
      const next = {
        id: record.id,
        variants: variants.slice(0, VARIANTS_MAX),
        until: Math.max(record.until, facts.deleteAt),
      }
      const { bytes, flags } = encode(next)
      const options = { expiresAt: next.until, flags }
      const isStored =
        cas === undefined
          ? await this.cache.add(key, bytes, options)
          : await this.cache.cas(key, bytes, cas, options)
      if (isStored) return next
    }
    throw new CacheError('BUSY', `${uriOf(request)}: its record changes all the time`)
  }

  private async recordOf(
    request: HttpRequestKey,
  ): Promise<{ record: UriRecord; cas: bigint } | undefined> {
    const item = await this.cache.getItem<Buffer>(this.recordKeyOf(request), AS_BYTES)
    return item && { record: decode(item) as UriRecord, cas: item.cas }
  }

  private recordKeyOf(request: HttpRequestKey): string {
    return fitKey(this.prefix + uriOf(request))
  }

  private keyOf({ id }: UriRecord, { method, headers }: HttpRequestKey, names: string[]): string {
    const values = names.map(name => headers?.[name] ?? null)
    const text = JSON.stringify([method, names, values])
    return `${this.prefix}${id}:${createHash('sha256').update(text).digest('base64url')}`
  }
}

function emptyRecord(): UriRecord {
  return { id: randomBytes(ID_BYTES).toString('base64url'), variants: [], until: 0 }
}

function namesOf({ vary }: HttpResponseFacts): string[] {
  return Object.keys(vary ?? {}).sort()
}

function isSame(a: string[], b: string[]): boolean {
  return a.length === b.length && a.every((name, i) => name === b[i])
}

function uriOf({ origin, path }: HttpRequestKey): string {
  return `${origin}:${path}`
}

/** The length of the facts in 4 bytes, the facts as JSON, the body. */
function pack(facts: HttpResponseFacts, body: Buffer[]): Buffer {
  const { statusCode, statusMessage, headers, vary, etag, cacheControlDirectives } = facts
  const { cachedAt, staleAt, deleteAt } = facts
  const kept: HttpResponseFacts = {
    statusCode,
    statusMessage,
    headers,
    cachedAt,
    staleAt,
    deleteAt,
  }
  const text = Buffer.from(JSON.stringify({ ...kept, vary, etag, cacheControlDirectives }))
  const head = Buffer.alloc(HEAD_BYTES)
  head.writeUInt32LE(text.length)
  return Buffer.concat([head, text, ...body])
}

function unpack(packed: Buffer | undefined): CachedHttpResponse | undefined {
  if (packed === undefined) return undefined
  const end = HEAD_BYTES + packed.readUInt32LE()
  const facts = JSON.parse(packed.toString('utf8', HEAD_BYTES, end)) as HttpResponseFacts
  return { cacheControlDirectives: {}, ...facts, body: [packed.subarray(end)] }
}
