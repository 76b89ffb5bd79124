// Nodes that something else starts and ends, by a desired size in etcd; they register themselves
// there (`memslab --etcd`).
//
//   STATE desired             how many nodes there should be
//   STATE leaving/host:port   is drained and may be ended; whoever ends it deletes the entry

import type { EtcdGateway } from '../../../etcd/gateway.ts'
import type { Withdrawals } from '../announce/withdrawals.ts'
import type { DesiredOptions, EtcdOptions } from '../config/schema.ts'
import { nameOf } from '../pool/names.ts'
import type { Driver } from './driver.ts'
import { untilNodes } from './until-nodes.ts'

/** How often it is asked whether nodes have come. */
const LIST_MS = 500

export class DesiredDriver implements Driver {
  readonly name = 'etcd'
  private readonly etcd: EtcdGateway
  private readonly place: EtcdOptions
  private readonly withdrawals: Withdrawals
  private readonly options: DesiredOptions

  constructor(
    etcd: EtcdGateway,
    place: EtcdOptions,
    withdrawals: Withdrawals,
    options: DesiredOptions,
  ) {
    this.etcd = etcd
    this.place = place
    this.withdrawals = withdrawals
    this.options = options
  }

  /** Those that clients see, and those that were taken from their sight but may come back. */
  async nodes(signal: AbortSignal): Promise<string[]> {
    const { values } = await this.etcd.list(this.place.prefix, signal)
    const withdrawn = await this.withdrawals.names(signal)
    const leaving = await this.leaving(signal)
    const names = [...values.flatMap(value => nameOf(value) ?? []), ...withdrawn]
    return [...new Set(names)].filter(name => !leaving.has(name))
  }

  async grow(to: number, _have: readonly string[], signal: AbortSignal): Promise<void> {
    await this.etcd.put(`${this.place.state}desired`, String(to), undefined, signal)
    const late = `fewer than ${to} nodes in time`
    const wait = { everyMs: LIST_MS, atMostMs: this.options.ready, signal }
    await untilNodes(
      signal => this.nodes(signal),
      nodes => nodes.length >= to,
      late,
      wait,
    )
  }

  async remove(
    node: string,
    to: number,
    _have: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    await this.etcd.put(`${this.place.state}leaving/${node}`, node, undefined, signal)
    await this.etcd.put(`${this.place.state}desired`, String(to), undefined, signal)
    await this.withdrawals.forget(node, signal)
  }

  /** Whoever runs the nodes starts them again. */
  async repair(): Promise<string[]> {
    return []
  }

  private async leaving(signal: AbortSignal): Promise<Set<string>> {
    const prefix = `${this.place.state}leaving/`
    const entries = await this.etcd.entries(prefix, signal)
    return new Set(entries.map(({ key }) => key.slice(prefix.length)))
  }
}
