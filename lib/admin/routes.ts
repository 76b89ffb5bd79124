// What each path of the admin listener answers.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { setParameter } from '../protocol/control/parameters.ts'
import { flushAll } from '../protocol/execute.ts'
import { ThreadCounter } from '../protocol/host.ts'
import { encodeKey } from '../protocol/report/hot-keys.ts'
import { decodeBytes } from './api/key-text.ts'
import { keyIn, lookUp, remove } from './api/look-up.ts'
import { listSettings } from './api/parameters-list.ts'
import { listConnections } from './api/peers.ts'
import type { DaemonView } from './daemon-view.ts'
import { say, sayBusy, send, sendJson } from './http/answer.ts'
import { Broadcast, Listeners } from './live/broadcast.ts'
import { Sampler } from './live/sampler.ts'
import { kindsOf, streamLines } from './live/watch-stream.ts'
import { formatOf, type Metrics } from './metrics/registry.ts'
import { type PageFile, PageFiles } from './page-files.ts'

/** One request. Parameters of its URL are still percent-encoded. */
export interface Asked {
  request: IncomingMessage
  response: ServerResponse
  query: ReadonlyMap<string, string>
}

type Answer = (asked: Asked) => Promise<void> | void

export interface Route {
  /** By method; GET answers HEAD too. */
  answers: { GET?: Answer; POST?: Answer; DELETE?: Answer }
  /** Who may ask: a probe without a password, any client, or no page but the listener's own. */
  for: 'probes' | 'clients' | 'page'
  /** Stays open, so it does not count as a request in progress. */
  isStream?: boolean
}

const NO_KEY = 'The parameter key has to name a key of 1 to 250 bytes.'
const HIDDEN = 'Clients log in here and operators do not: this is told with --admin-auth.'

export class Routes {
  private readonly daemon: DaemonView
  private readonly metrics: Metrics
  private readonly listeners = new Listeners()
  private readonly broadcast: Broadcast
  private readonly table: ReadonlyMap<string, Route>
  private readonly files = new PageFiles()

  constructor(daemon: DaemonView, metrics: Metrics) {
    this.daemon = daemon
    this.metrics = metrics
    this.broadcast = new Broadcast(new Sampler(daemon), this.listeners, error =>
      this.log(`the sample failed: ${error instanceof Error ? error.message : error}`),
    )
    this.table = new Map([
      ['/healthz', get('probes', ({ response }) => this.tellHealth(response))],
      ['/readyz', get('probes', ({ response }) => this.tellReady(response))],
      ['/metrics', get('clients', asked => this.tellMetrics(asked))],
      ['/events', stream(({ response }) => this.sendSamples(response))],
      ['/events/watch', stream(asked => this.sendLines(asked))],
      ['/api/connections', get('page', asked => this.tellConnections(asked))],
      ['/api/item', this.itemRoute()],
      ['/api/flush', this.flushRoute()],
      ['/api/settings', this.settingsRoute()],
    ])
  }

  /** Undefined: there is no such path. */
  find(path: string): Route | undefined {
    const route = this.table.get(path)
    const file = route === undefined ? this.files.find(path) : undefined
    return file === undefined ? route : get('page', asked => sendFile(asked, file))
  }

  close(): void {
    this.broadcast.stop()
  }

  private itemRoute(): Route {
    const answers: Route['answers'] = { GET: asked => this.tellItem(asked) }
    if (this.daemon.mayWrite) answers.DELETE = asked => this.deleteItem(asked)
    return { answers, for: 'page' }
  }

  private flushRoute(): Route {
    const { mayWrite } = this.daemon
    return {
      answers: mayWrite ? { POST: ({ response }) => this.flush(response) } : {},
      for: 'page',
    }
  }

  private settingsRoute(): Route {
    const answers: Route['answers'] = { GET: ({ response }) => this.tellSettings(response) }
    if (this.daemon.mayWrite) answers.POST = asked => this.changeSetting(asked)
    return { answers, for: 'page' }
  }

  private async tellMetrics({ request, response }: Asked): Promise<void> {
    const { contentType, text } = await this.metrics.scrape(formatOf(request.headers.accept))
    send(response, 200, contentType, text)
  }

  private tellHealth(response: ServerResponse): void {
    if (this.daemon.main.workersReady() > 0) say(response, 200, 'ok')
    else say(response, 503, 'No worker takes connections.')
  }

  private tellReady(response: ServerResponse): void {
    const { host, main, isClosing, restored } = this.daemon
    const share = restored()
    const ready = main.workersReady()
    const { threads } = host.facts
    if (isClosing()) say(response, 503, 'Closing.')
    else if (ready < threads) say(response, 503, `${ready} of ${threads} workers are ready.`)
    else if (share !== null) say(response, 503, `Restoring: ${Math.floor(share * 100)} % is back.`)
    else say(response, 200, 'ok')
  }

  private sendSamples(response: ServerResponse): void {
    if (!this.broadcast.add(response)) sayBusy(response, 'Too many listeners.')
  }

  private sendLines({ response, query }: Asked): void {
    const { host, tellsKeys } = this.daemon
    if (!tellsKeys) return say(response, 403, HIDDEN)
    if (!host.allowed.watch) return say(response, 403, 'watch is disabled here (-W).')
    const kinds = kindsOf(query.get('kinds') ?? '')
    if (kinds === 0) {
      return say(response, 400, 'kinds: of fetchers, mutations, evictions, connevents, deletions.')
    }
    if (!streamLines(response, kinds, host, this.listeners)) {
      sayBusy(response, 'Too many watchers.')
    }
  }

  private tellConnections({ response, query }: Asked): void {
    if (!this.daemon.tellsKeys) return say(response, 403, HIDDEN)
    const after = Number(query.get('after') ?? 0)
    if (!Number.isSafeInteger(after))
      return say(response, 400, 'after: the number of a connection.')
    sendJson(response, listConnections(this.daemon.host.facts, after))
  }

  private tellItem({ response, query }: Asked): void {
    if (!this.daemon.tellsKeys) return say(response, 403, HIDDEN)
    const key = keyIn(query)
    if (key === null) return say(response, 400, NO_KEY)
    sendJson(response, lookUp(this.daemon.host.cache, key, query.get('value') === '1'))
  }

  private deleteItem({ response, query }: Asked): void {
    const key = keyIn(query)
    if (key === null) return say(response, 400, NO_KEY)
    const isDeleted = remove(this.daemon.host.cache, key)
    if (isDeleted) this.log(`deleted ${encodeKey(key.toString('latin1'))}`)
    sendJson(response, { deleted: isDeleted })
  }

  private flush(response: ServerResponse): void {
    const { host } = this.daemon
    if (!host.flushAllowed) return say(response, 403, 'flush_all is disabled here.')
    host.counters[ThreadCounter.CMD_FLUSH]++
    flushAll(host.cache, 0)
    this.log('flushed all items')
    sendJson(response, { flushed: true })
  }

  private tellSettings(response: ServerResponse): void {
    if (!this.daemon.tellsKeys) return say(response, 403, HIDDEN)
    sendJson(response, listSettings(this.daemon.host))
  }

  private changeSetting({ request, response, query }: Asked): void {
    const [name, value] = ['name', 'value'].map(word => decodeBytes(query.get(word) ?? ''))
    if (!name || !value) return say(response, 400, 'The parameters name and value are missing.')
    const who = `admin:${request.socket.remoteAddress}`
    const fault = setParameter(this.daemon.host, name.toString(), value.toString(), who)
    if (fault !== null) return say(response, 400, fault)
    sendJson(response, { changed: true })
  }

  private log(line: string): void {
    this.daemon.host.log(`admin: ${line}`)
  }
}

async function sendFile({ request, response }: Asked, found: Promise<PageFile>): Promise<void> {
  const { type, body, compressed } = await found
  const isCompressed = /\bgzip\b/.test(String(request.headers['accept-encoding']))
  if (isCompressed) response.setHeader('Content-Encoding', 'gzip')
  send(response, 200, type, isCompressed ? compressed : body)
}

function get(who: Route['for'], answer: Answer): Route {
  return { answers: { GET: answer }, for: who }
}

function stream(answer: Answer): Route {
  return { answers: { GET: answer }, for: 'page', isStream: true }
}
