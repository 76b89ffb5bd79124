// Writes a snapshot of a server into a file. The server sends it plain; it is compressed and
// encrypted here, so the key stays with the file. Nothing is needed on the server but the right to
// dump it.

import type { RingNode } from '../../client/ring/ring.ts'
import { AsideFile } from '../../keeping/snapshot/aside-file.ts'
import {
  BlockEncoder,
  readBlockHead,
  readPayload,
  readTotals,
  type Totals,
} from '../../keeping/snapshot/blocks.ts'
import { readHeader, writeHeader } from '../../keeping/snapshot/header.ts'
import { BLOCK_HEAD_BYTES, HEADER_BYTES, Kind } from '../../keeping/snapshot/layout.ts'
import { SnapshotLink } from '../servers/snapshot-link.ts'
import type { Access } from '../servers/stats-link.ts'

export interface TakeOrder {
  server: RingNode
  access: Access
  path: string
  hasCas: boolean
  secret: Buffer | null
  level: number
  /** Called with the records so far. */
  onProgress(records: number): void
}

/** Resolves with the totals, and the bytes of the file. Rejects with an Error of one line. */
export async function takeSnapshot(order: TakeOrder): Promise<{ totals: Totals; bytes: number }> {
  const link = await SnapshotLink.open(order.server, order.access, order.hasCas)
  try {
    const file = new AsideFile(order.path)
    try {
      const totals = await copy(link, file, order)
      file.commit()
      return { totals, bytes: file.bytes }
    } catch (error) {
      file.abandon()
      throw error
    }
  } finally {
    link.close()
  }
}

async function copy(link: SnapshotLink, file: AsideFile, order: TakeOrder): Promise<Totals> {
  const { hasCas, begun } = readHeader(await link.read(HEADER_BYTES))
  const { bytes, seal } = writeHeader(begun, hasCas, order.secret)
  const encoder = new BlockEncoder(seal, order.level)
  file.write(bytes)
  let records = 0
  for (let number = 0; ; number++) {
    const head = await link.read(BLOCK_HEAD_BYTES)
    const block = readBlockHead(head, 0, number)
    const payload = readPayload(block, head, await link.read(block.storedBytes), null)
    if (block.kind === Kind.TRAILER) {
      const totals = readTotals(payload, number)
      file.write(encoder.trailer(totals))
      return totals
    }
    const { band } = block
    file.write(encoder.encode({ kind: block.kind as Kind, band, records: block.records, payload }))
    records += block.records
    order.onProgress(records)
  }
}
