// Nodes in etcd, where clients discover them. The scaler puts the entries, and without a lease:
// under one of the scaler's, a pool would vanish with its scaler.

import type { EtcdGateway } from '../../../etcd/gateway.ts'
import { nameOf } from '../pool/names.ts'
import type { Announcer } from './announcer.ts'

export class Entries implements Announcer {
  private readonly etcd: EtcdGateway
  private readonly prefix: string

  constructor(etcd: EtcdGateway, prefix: string) {
    this.etcd = etcd
    this.prefix = prefix
  }

  async seen(_have: readonly string[], signal: AbortSignal): Promise<string[]> {
    const { values } = await this.etcd.list(this.prefix, signal)
    return values.flatMap(value => nameOf(value) ?? [])
  }

  async announce(
    nodes: readonly string[],
    _leaving: readonly string[],
    signal: AbortSignal,
  ): Promise<boolean> {
    const seen = await this.seen([], signal)
    const added = nodes.filter(name => !seen.includes(name))
    for (const name of added) await this.etcd.put(this.prefix + name, name, undefined, signal)
    const gone = seen.filter(name => !nodes.includes(name))
    for (const name of gone) await this.etcd.remove(this.prefix + name, signal)
    return true
  }
}
