// Adds many items to a server, memslab or memcached 1.6, over one connection: batches of `ms` that
// answer only what is not stored, each with an `mn` behind it. An item that the server has stays.
// Every batch is confirmed, and a bounded number of them is on its way.

import type { Socket } from 'node:net'
import { RELATIVE_S_MAX } from '../../bytes/memcached.ts'
import { KIB } from '../../bytes/units.ts'
import type { RingNode } from '../../client/ring/ring.ts'
import { type Access, openSocket } from './stats-link.ts'

const BATCH_BYTES = 128 * KIB
const BATCHES_MAX = 4
/** How long a server may be silent while batches wait for it. */
const SILENCE_MS_MAX = 60_000

/** What came of the items, by count. */
export interface Filled {
  stored: number
  /** The server had one. */
  newer: number
  /** Too large for it, or no memory. */
  refused: number
}

export interface FillItem {
  key: Buffer
  flags: number
  /** Seconds until it expires; 0: never. */
  remainingS: number
  value: Buffer
}

export class FillLink {
  readonly filled: Filled = { stored: 0, newer: 0, refused: 0 }
  private readonly socket: Socket
  private parts: Buffer[] = []
  private bytes = 0
  private items = 0
  /** Items of each batch that is on its way, and its refusals so far. */
  private readonly batches: { items: number; refused: number; newer: number }[] = []
  private rest = ''
  private fault: Error | null = null
  private wake = () => {}

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setTimeout(SILENCE_MS_MAX, () => {
      if (this.batches.length > 0) this.fail(new Error('no answer in time'))
    })
    socket.on('data', (chunk: Buffer) => this.read(chunk))
    socket.on('error', error => this.fail(error))
    socket.on('close', () => this.fail(new Error('it closed the connection')))
  }

  /** Rejects with an Error of one line. */
  static async open(server: RingNode, access: Access): Promise<FillLink> {
    return new FillLink(await openSocket(server, access))
  }

  /** Queues an item; `drain` sends it. */
  add({ key, flags, remainingS, value }: FillItem): void {
    const isBinary = !isPlainKey(key)
    const name = isBinary ? key.toString('base64') : key.toString('latin1')
    const head = `ms ${name} ${value.length} F${flags} T${exptimeOf(remainingS)} ME q`
    this.push(Buffer.from(`${head}${isBinary ? ' b' : ''}\r\n`, 'latin1'))
    this.push(value)
    this.push(CRLF)
    this.items++
    if (this.bytes >= BATCH_BYTES) this.send()
  }

  /** Waits until not too much is on its way. Rejects where the server fails. */
  async drain(): Promise<void> {
    await this.waitFor(BATCHES_MAX - 1)
  }

  /** Sends the rest and waits for all answers. */
  async end(): Promise<void> {
    this.send()
    await this.waitFor(0)
  }

  close(): void {
    this.socket.removeAllListeners('close')
    this.socket.destroy()
  }

  private async waitFor(batchesMax: number): Promise<void> {
    while (this.fault === null && this.batches.length > batchesMax) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.wake = resolve
      await promise
    }
    if (this.fault !== null) throw this.fault
  }

  private push(part: Buffer): void {
    this.parts.push(part)
    this.bytes += part.length
  }

  private send(): void {
    if (this.items === 0) return
    this.parts.push(MARK)
    this.socket.write(Buffer.concat(this.parts))
    this.batches.push({ items: this.items, refused: 0, newer: 0 })
    this.parts = []
    this.bytes = 0
    this.items = 0
  }

  private read(chunk: Buffer): void {
    const lines = (this.rest + chunk.toString('latin1')).split('\r\n')
    this.rest = lines.pop() ?? ''
    for (const line of lines) this.take(line)
    this.wake()
  }

  private take(line: string): void {
    const batch = this.batches[0]
    if (batch === undefined) return
    if (line === 'MN') {
      this.batches.shift()
      this.filled.stored += batch.items - batch.newer - batch.refused
      this.filled.newer += batch.newer
      this.filled.refused += batch.refused
    } else if (line.startsWith('NS')) {
      batch.newer++
    } else if (line.startsWith('SERVER_ERROR')) {
      batch.refused++
    } else {
      this.fail(new Error(line === '' ? 'an answer that is none' : line))
    }
  }

  private fail(error: Error): void {
    this.fault ??= error
    this.socket.destroy()
    this.wake()
  }
}

const CRLF = Buffer.from('\r\n')
const MARK = Buffer.from('mn\r\n')

function exptimeOf(remainingS: number): number {
  if (remainingS <= RELATIVE_S_MAX) return remainingS
  return Math.floor(Date.now() / 1000) + remainingS
}

/** Whether a key can be sent as it is; others go in base64. */
function isPlainKey(key: Buffer): boolean {
  return key.every(byte => byte > 0x20 && byte !== 0x7f)
}
