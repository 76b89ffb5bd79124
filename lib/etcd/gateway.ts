// etcd through its JSON gateway (/v3, etcd 3.4 and later): the few calls by which daemons register
// and clients discover them. Each call tries one endpoint after the other until one answers,
// starting with the one that answered last.
//
//   key    PREFIX + host:port, under the lease of the daemon that registered it
//   value  host:port or host:port:weight, as clients connect to it
//
// Used by server/listen/registration.ts, client/discovery/etcd.ts and commands/scale/.

import { ETCD_ENDPOINTS_MAX, ETCD_REPLY_BYTES_MAX, ETCD_TIMEOUT_MS } from './limits.ts'

/** Entries directly under a prefix, and the revision of the store at which they were read. */
export interface Listing {
  values: string[]
  revision: bigint
}

/** One entry; `lease` is undefined where it stays until it is removed. */
export interface Stored {
  key: string
  value: string
  lease: string | undefined
}

/** etcd answered with an error. */
export class EtcdRefusal extends Error {
  override readonly name = 'EtcdRefusal'
}

interface Answer {
  header?: { revision?: string }
  ID?: string
  TTL?: string
  token?: string
  kvs?: { key?: string; value?: string; lease?: string }[]
  succeeded?: boolean
  result?: Answer
  events?: unknown[]
  canceled?: boolean
}

interface Fault {
  error?: string
  /** gRPC's code. */
  code?: number
}

const UNAVAILABLE = 14

interface Endpoint {
  url: string
  /** User and password of the URL. */
  login: { name: string; password: string } | undefined
}

export class EtcdGateway {
  private readonly endpoints: Endpoint[]
  private current = 0
  private token: string | undefined

  /** Each is `http://[user:password@]host:port`. RangeError for anything else. */
  constructor(urls: readonly string[]) {
    if (urls.length === 0 || urls.length > ETCD_ENDPOINTS_MAX) {
      throw new RangeError(`etcd has 1 to ${ETCD_ENDPOINTS_MAX} endpoints`)
    }
    this.endpoints = urls.map(endpointOf)
  }

  /** Grants a lease of `ttlS` seconds. Returns its id. */
  async grant(ttlS: number, signal?: AbortSignal): Promise<string> {
    const { ID } = await this.call('lease/grant', { TTL: String(ttlS) }, signal)
    if (ID === undefined) throw new Error('etcd gave no lease')
    return ID
  }

  /** Renews the lease. Returns whether it still existed. */
  async keepAlive(lease: string, signal?: AbortSignal): Promise<boolean> {
    const { result } = await this.call('lease/keepalive', { ID: lease }, signal)
    return Number(result?.TTL ?? 0) > 0
  }

  /** Without a lease the entry stays until it is removed. */
  async put(key: string, value: string, lease?: string, signal?: AbortSignal): Promise<void> {
    await this.call('kv/put', { key: encode(key), value: encode(value), lease }, signal)
  }

  /** Puts it only where there is no such entry. Returns whether it did. */
  async create(key: string, value: string, lease: string, signal?: AbortSignal): Promise<boolean> {
    const absent = {
      key: encode(key),
      target: 'CREATE',
      result: 'EQUAL',
      create_revision: '0',
    }
    const put = { request_put: { key: encode(key), value: encode(value), lease } }
    const answer = await this.call('kv/txn', { compare: [absent], success: [put] }, signal)
    return answer.succeeded === true
  }

  /** Undefined: there is no such entry. */
  async read(key: string, signal?: AbortSignal): Promise<Stored | undefined> {
    const { kvs = [] } = await this.call('kv/range', { key: encode(key) }, signal)
    return kvs.map(storedOf)[0]
  }

  /** All entries under a prefix, those behind a further slash too. */
  async entries(prefix: string, signal?: AbortSignal): Promise<Stored[]> {
    const { kvs = [] } = await this.call('kv/range', rangeOf(prefix), signal)
    return kvs.map(storedOf)
  }

  async remove(key: string, signal?: AbortSignal): Promise<void> {
    await this.call('kv/deleterange', { key: encode(key) }, signal)
  }

  /** Revokes the lease, which deletes the entries under it. */
  async revoke(lease: string, signal?: AbortSignal): Promise<void> {
    await this.call('lease/revoke', { ID: lease }, signal)
  }

  /** Entries behind a further slash belong to another pool. */
  async list(prefix: string, signal?: AbortSignal): Promise<Listing> {
    const { header, kvs = [] } = await this.call('kv/range', rangeOf(prefix), signal)
    const own = kvs.filter(({ key = '' }) => !decode(key).slice(prefix.length).includes('/'))
    const values = own.map(({ value = '' }) => decode(value))
    return { values, revision: BigInt(header?.revision ?? 0) }
  }

  /**
   * Resolves when something under the prefix changed after that revision or may have changed, or
   * after `waitMs`.
   */
  async change(
    prefix: string,
    revision: bigint,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const over = AbortSignal.timeout(waitMs)
    const create = { ...rangeOf(prefix), start_revision: String(revision + 1n) }
    try {
      const ends = AbortSignal.any([signal, over])
      const response = await this.post('watch', { create_request: create }, ends)
      for await (const answer of answersOf(response)) {
        // Cancelled: the history after that revision is compacted already.
        if (answer.result?.events !== undefined || answer.result?.canceled === true) return
      }
    } catch (error) {
      if (!over.aborted) throw error
    }
  }

  private async call(path: string, body: object, signal?: AbortSignal): Promise<Answer> {
    const late = AbortSignal.timeout(ETCD_TIMEOUT_MS * this.endpoints.length)
    const response = await this.post(path, body, signal ? AbortSignal.any([signal, late]) : late)
    for await (const answer of answersOf(response)) return answer
    throw new Error('etcd gave no answer')
  }

  private async post(path: string, body: object, signal: AbortSignal): Promise<Response> {
    let failed: unknown
    for (let tries = 0; tries < this.endpoints.length && !signal.aborted; tries++) {
      const endpoint = this.endpoints[this.current]
      try {
        return await this.postTo(endpoint, path, body, signal)
      } catch (error) {
        failed = error
        if (error instanceof EtcdRefusal) break
        this.current = (this.current + 1) % this.endpoints.length
      }
    }
    throw failed ?? signal.reason
  }

  /** Logs in if the endpoint has a user, and once more when the token is refused. */
  private async postTo(
    endpoint: Endpoint,
    path: string,
    body: object,
    signal: AbortSignal,
  ): Promise<Response> {
    const { url, login } = endpoint
    for (let tries = 0; ; tries++) {
      if (login !== undefined && this.token === undefined) {
        const response = await send(`${url}/v3/auth/authenticate`, login, undefined, signal)
        this.token = ((await response.json()) as Answer).token
      }
      try {
        return await send(`${url}/v3/${path}`, body, this.token, signal)
      } catch (error) {
        const isTokenOld = error instanceof EtcdRefusal && /token/.test(error.message)
        if (!isTokenOld || login === undefined || tries > 0) throw error
        this.token = undefined
      }
    }
  }
}

async function send(
  url: string,
  body: object,
  token: string | undefined,
  signal: AbortSignal,
): Promise<Response> {
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  if (token !== undefined) headers.authorization = token
  const begun = new AbortController()
  const late = setTimeout(() => begun.abort(new Error('etcd did not answer')), ETCD_TIMEOUT_MS)
  try {
    const ends = AbortSignal.any([signal, begun.signal])
    const sent = { method: 'POST', headers, body: JSON.stringify(body), signal: ends }
    const response = await fetch(url, sent)
    if (response.ok) return response
    const { error = response.statusText, code } = (await response.json()) as Fault
    const isAway = code === undefined || code === UNAVAILABLE
    throw isAway ? new Error(`etcd: ${error}`) : new EtcdRefusal(`etcd: ${error}`)
  } catch (error) {
    throw plainer(error, url)
  } finally {
    clearTimeout(late)
  }
}

/** fetch only says that it failed; its cause says why. */
function plainer(error: unknown, url: string): unknown {
  if (!(error instanceof TypeError) || !(error.cause instanceof Error)) return error
  const { message, name } = error.cause
  return new Error(`etcd at ${new URL(url).host}: ${message || name}`)
}

/** The objects of a reply, one per line, as they arrive. */
async function* answersOf(response: Response): AsyncGenerator<Answer> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const part of response.body ?? []) {
    const lines = (rest + decoder.decode(part, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > ETCD_REPLY_BYTES_MAX) throw new Error('etcd: a reply without an end')
    for (const line of lines) if (line.trim() !== '') yield JSON.parse(line)
  }
  if (rest.trim() !== '') yield JSON.parse(rest)
}

function endpointOf(text: string): Endpoint {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new RangeError(`not an endpoint of etcd: ${text}`)
  }
  const name = decoded(url.username)
  const password = decoded(url.password)
  return { url: url.origin, login: name === '' ? undefined : { name, password } }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new RangeError('name or password of an endpoint of etcd is badly encoded')
  }
}

function storedOf({
  key = '',
  value = '',
  lease,
}: {
  key?: string
  value?: string
  lease?: string
}) {
  const isLeased = lease !== undefined && lease !== '0'
  return { key: decode(key), value: decode(value), lease: isLeased ? lease : undefined }
}

/** The range of all keys with this prefix. */
function rangeOf(prefix: string): { key: string; range_end: string } {
  const end = Buffer.from(prefix)
  end[end.length - 1]++
  return { key: encode(prefix), range_end: end.toString('base64') }
}

function decode(base64: string): string {
  return Buffer.from(base64, 'base64').toString()
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64')
}
