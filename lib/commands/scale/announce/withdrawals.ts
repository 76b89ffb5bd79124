// Nodes that announce themselves in etcd, under leases of their own. One that is to leave is taken
// from the sight of clients by removing its entry, which a daemon puts again only when it has lost
// its lease. What was removed is written down first, so that it can come back: also by another
// scaler, after this one has died in between.
//
//   STATE withdrawn/host:port    `LEASE VALUE` of the removed entry

import type { EtcdGateway } from '../../../etcd/gateway.ts'
import { EtcdRefusal } from '../../../etcd/gateway.ts'
import type { EtcdOptions } from '../config/schema.ts'
import { nameOf } from '../pool/names.ts'
import type { Announcer } from './announcer.ts'

export class Withdrawals implements Announcer {
  private readonly etcd: EtcdGateway
  private readonly prefix: string
  private readonly kept: string

  constructor(etcd: EtcdGateway, { prefix, state }: EtcdOptions) {
    this.etcd = etcd
    this.prefix = prefix
    this.kept = `${state}withdrawn/`
  }

  /** The nodes that were withdrawn and may come back. */
  async names(signal: AbortSignal): Promise<string[]> {
    const entries = await this.etcd.entries(this.kept, signal)
    return entries.map(({ key }) => key.slice(this.kept.length))
  }

  /** It has left for good. */
  async forget(name: string, signal: AbortSignal): Promise<void> {
    await this.etcd.remove(this.kept + name, signal)
  }

  async seen(_have: readonly string[], signal: AbortSignal): Promise<string[]> {
    const { values } = await this.etcd.list(this.prefix, signal)
    return values.flatMap(value => nameOf(value) ?? [])
  }

  async announce(
    nodes: readonly string[],
    leaving: readonly string[],
    signal: AbortSignal,
  ): Promise<boolean> {
    await this.restore(nodes, signal)
    const entries = await this.etcd.entries(this.prefix, signal)
    for (const { key, value, lease = '' } of entries) {
      const name = nameOf(value)
      const isOwn = !key.slice(this.prefix.length).includes('/')
      if (!isOwn || name === null || !leaving.includes(name)) continue
      await this.etcd.put(this.kept + name, `${lease} ${value}`, undefined, signal)
      await this.etcd.remove(key, signal)
    }
    return true
  }

  private async restore(nodes: readonly string[], signal: AbortSignal): Promise<void> {
    for (const { key, value } of await this.etcd.entries(this.kept, signal)) {
      const name = key.slice(this.kept.length)
      if (!nodes.includes(name)) continue
      const [lease = '', server = ''] = value.split(' ')
      await this.putBack(server, lease, signal)
      await this.etcd.remove(key, signal)
    }
  }

  /** A lease that is gone is a daemon that died, or has put its entry again. */
  private async putBack(server: string, lease: string, signal: AbortSignal): Promise<void> {
    try {
      await this.etcd.put(this.prefix + server, server, lease === '' ? undefined : lease, signal)
    } catch (error) {
      if (!(error instanceof EtcdRefusal)) throw error
    }
  }
}
