// A daemon's entry in etcd. It is put under a lease that is kept alive, so it expires with the
// daemon, and put again when the lease was lost. While etcd is away, at the start too, this retries
// and logs it once.

import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { EtcdGateway } from '../../etcd/gateway.ts'
import { ETCD_LEAVE_MS, ETCD_RETRY_MS } from '../../etcd/limits.ts'
import type { Options } from '../../options/options.ts'
import type { Bound } from './address.ts'

/** Renewals of a lease per TTL. */
const ETCD_RENEWALS = 3

export interface Entry {
  endpoints: readonly string[]
  prefix: string
  /** How clients reach this daemon: `host:port` or `host:port:weight`. */
  server: string
  /** How long the entry of a dead daemon stays. */
  ttlS: number
}

export class Registration {
  private readonly etcd: EtcdGateway
  private readonly entry: Entry
  private readonly log: (line: string) => void
  private readonly stop = new AbortController()
  private readonly done: Promise<void>
  private lease: string | undefined
  /** The entry is under that lease. */
  isPut = false
  private isLogged = false

  /** Starts registering. RangeError for an invalid endpoint. */
  constructor(entry: Entry, log: (line: string) => void) {
    this.etcd = new EtcdGateway(entry.endpoints)
    this.entry = entry
    this.log = log
    this.done = this.run()
  }

  /** Leaves the entry to the process that goes on, which puts it under a lease of its own. */
  leave(): void {
    this.stop.abort()
    this.lease = undefined
  }

  /** Removes the entry, if etcd is there. */
  async close(): Promise<void> {
    this.stop.abort()
    await this.done
    if (this.lease === undefined) return
    await this.etcd.revoke(this.lease, AbortSignal.timeout(ETCD_LEAVE_MS)).catch(() => {})
  }

  private async run(): Promise<void> {
    const { signal } = this.stop
    while (!signal.aborted) {
      let restMs = (this.entry.ttlS * 1000) / ETCD_RENEWALS
      try {
        await this.renew(signal)
        if (this.isLogged) this.log(`etcd: registered as ${this.entry.server}`)
        this.isLogged = false
      } catch (error) {
        if (signal.aborted) return
        restMs = Math.min(restMs, ETCD_RETRY_MS)
        if (!this.isLogged) this.log(`not registered: ${wordsOf(error)}; trying again`)
        this.isLogged = true
      }
      await sleep(restMs, undefined, { signal }).catch(() => {})
    }
  }

  private async renew(signal: AbortSignal): Promise<void> {
    const { prefix, server, ttlS } = this.entry
    if (this.lease !== undefined && this.isPut) {
      if (await this.etcd.keepAlive(this.lease, signal)) return
    }
    this.isPut = false
    this.lease = await this.etcd.grant(ttlS, signal)
    await this.etcd.put(`${prefix}${server}`, server, this.lease, signal)
    this.isPut = true
  }
}

/** Registers a daemon that listens there; undefined without --etcd. */
export function register(
  options: Options,
  [first]: readonly Bound[],
  log: (line: string) => void,
): Registration | undefined {
  const { etcd, etcdPrefix, etcdAdvertise, etcdTtlS } = options
  if (etcd.length === 0) return undefined
  const server = etcdAdvertise ?? reachedAt(first)
  return new Registration({ endpoints: etcd, prefix: etcdPrefix, server, ttlS: etcdTtlS }, log)
}

/** The address for clients: the bound one, or this host's name if it listens on every interface. */
function reachedAt({ address, port }: Bound): string {
  if (address === '0.0.0.0' || address === '::') return `${hostname()}:${port}`
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
