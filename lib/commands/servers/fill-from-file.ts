// Adds the items of a snapshot to a server. The file is verified before the first one is sent.

import { closeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Area } from '../../bytes/area.ts'
import type { RingNode } from '../../client/ring/ring.ts'
import { momentNow, secondsBetween } from '../../keeping/snapshot/moment.ts'
import {
  openSnapshot,
  type RecordSink,
  SnapshotReader,
  verifySnapshot,
} from '../../keeping/snapshot/reader.ts'
import type { RecordHead } from '../../keeping/snapshot/records.ts'
import { Progress } from '../progress.ts'
import { type Filled, FillLink } from './fill-link.ts'
import type { Access } from './stats-link.ts'

export interface FillOrder {
  path: string
  secret: Buffer | null
  server: RingNode
  access: Access
  /** The most recently used first, not last. */
  hottestFirst: boolean
  /** Items a second; 0: as many as go. */
  rate: number
  /** Whether an item is wanted. */
  wants(key: Buffer): boolean
}

export interface FillReport extends Filled {
  expired: number
}

/** Resolves with what came of the items. Rejects with an Error of one line. */
export async function fillFromFile(order: FillOrder): Promise<FillReport> {
  const { path, secret } = order
  const verifying = new Progress('verify')
  try {
    verifySnapshot(path, secret, share => verifying.show(share))
  } finally {
    verifying.end()
  }
  const fd = openSnapshot(path)
  try {
    const reader = new SnapshotReader(fd, secret)
    const link = await FillLink.open(order.server, order.access)
    try {
      return await fill(reader, link, order)
    } finally {
      link.close()
    }
  } finally {
    closeSync(fd)
  }
}

async function fill(reader: SnapshotReader, link: FillLink, order: FillOrder): Promise<FillReport> {
  const sender = new Sender(reader, link, order)
  const progress = new Progress('fill')
  const startedMs = performance.now()
  const units = reader.ordered(order.hottestFirst)
  try {
    for (const [index, unit] of units.entries()) {
      reader.read(unit, sender)
      await link.drain()
      progress.show((index + 1) / units.length, `${link.filled.stored} items`)
      const dueMs = order.rate === 0 ? 0 : startedMs + (sender.sent / order.rate) * 1000
      if (dueMs > performance.now()) await sleep(dueMs - performance.now())
    }
    await link.end()
    return { ...link.filled, expired: sender.expired }
  } finally {
    progress.end()
  }
}

/** Sends records to a server. */
class Sender implements RecordSink {
  sent = 0
  expired = 0
  private readonly link: FillLink
  private readonly order: FillOrder
  /** What is left of an expiry is that less this, Unix time; null: nobody knows. */
  private readonly nowS: number | null
  private key: Buffer = Buffer.alloc(0)
  private flags = 0
  private remainingS = 0
  private pieces: Buffer[] = []

  constructor({ header }: SnapshotReader, link: FillLink, order: FillOrder) {
    this.link = link
    this.order = order
    const elapsedS = secondsBetween(header.begun, momentNow())
    this.nowS = elapsedS === null ? null : Math.floor(header.begun.wallMs / 1000) + elapsedS
  }

  take(head: RecordHead, payload: Area, keyAt: number, valueAt: number): void {
    if (!this.begin(head, payload, keyAt)) return
    this.more(payload, valueAt, head.valueBytes)
    this.end()
  }

  begin(head: RecordHead, payload: Area, keyAt: number): boolean {
    this.key = payload.bytes.subarray(keyAt, keyAt + head.keyBytes)
    if (!this.order.wants(this.key)) return false
    this.flags = head.flags
    this.remainingS = head.expiresAtS === 0 ? 0 : head.expiresAtS - (this.nowS ?? head.expiresAtS)
    if (head.expiresAtS === 0 || this.remainingS > 0) return true
    this.expired++
    return false
  }

  more(payload: Area, start: number, length: number): void {
    this.pieces.push(payload.bytes.subarray(start, start + length))
  }

  end(): void {
    const { key, flags, remainingS, pieces } = this
    const value = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces)
    this.link.add({ key, flags, remainingS, value })
    this.pieces = []
    this.sent++
  }
}
