// One connection that pipelines gets and sets: says which keys hit and how many values were stored.
// For benches that measure what a server keeps, not what it costs.

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export interface Entry {
  key: string
  valueBytes: number
  /** Seconds; 0: never expires. */
  exptime: number
}

const LF = 10
const CRLF_BYTES = 2
const REPLY_MS_MAX = 60_000
const FILLER_BYTES = 2 ** 20
const filler = Buffer.alloc(FILLER_BYTES, 'v')
const CRLF = Buffer.from('\r\n')

export class Caller {
  readonly #socket: Socket
  #lines: ((line: string) => void) | undefined
  #failed: ((error: Error) => void) | undefined
  #rest = Buffer.alloc(0)
  /** Bytes left to skip of a value and its line end. */
  #skip = 0

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.setTimeout(REPLY_MS_MAX, () => socket.destroy(new Error('no reply')))
    socket.on('data', (part: Buffer) => this.#read(part))
    socket.on('error', error => this.#failed?.(error))
    socket.on('close', () => this.#failed?.(new Error('the server closed the connection')))
  }

  static async open(port: number): Promise<Caller> {
    const socket = connect({ host: '127.0.0.1', port })
    await once(socket, 'connect')
    return new Caller(socket)
  }

  close(): void {
    this.#failed = undefined
    this.#socket.destroy()
  }

  /** Pipelines a get for each key. Returns, by key, whether it hit. */
  async get(keys: readonly string[]): Promise<boolean[]> {
    const hits = new Array<boolean>(keys.length).fill(false)
    let at = 0
    await this.#exchange([Buffer.from(keys.map(key => `get ${key}\r\n`).join(''))], line => {
      if (line.startsWith('VALUE ')) {
        hits[at] = true
        this.#skip = Number(line.split(' ')[3]) + CRLF_BYTES
      } else if (line === 'END') {
        at++
      } else {
        throw new Error(`unexpected reply to get: ${line}`)
      }
      return at === keys.length
    })
    return hits
  }

  /** Pipelines the stores. Returns how many were stored: a server may be out of memory for some. */
  async set(entries: readonly Entry[], verb: 'set' | 'append' = 'set'): Promise<number> {
    const parts = entries.flatMap(({ key, valueBytes, exptime }) => [
      Buffer.from(`${verb} ${key} 0 ${exptime} ${valueBytes}\r\n`),
      filler.subarray(0, valueBytes),
      CRLF,
    ])
    let replies = 0
    let stored = 0
    await this.#exchange([Buffer.concat(parts)], line => {
      replies++
      if (line === 'STORED') stored++
      else if (line !== 'NOT_STORED' && !line.startsWith('SERVER_ERROR')) {
        throw new Error(`unexpected reply to ${verb}: ${line}`)
      }
      return replies === entries.length
    })
    return stored
  }

  /** Pipelines the deletes. */
  async remove(keys: readonly string[]): Promise<void> {
    await this.#order(keys.map(key => `delete ${key}`))
  }

  async flush(): Promise<void> {
    await this.#order(['flush_all'])
  }

  /** Pipelines requests that have a reply of one line each. */
  async #order(requests: readonly string[]): Promise<void> {
    let replies = 0
    const text = requests.map(request => `${request}\r\n`).join('')
    await this.#exchange([Buffer.from(text)], () => ++replies === requests.length)
  }

  /** Sends, then gives each line of the reply to `take` until it returns true for the last line. */
  #exchange(parts: readonly Buffer[], take: (line: string) => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#failed = reject
      this.#lines = line => {
        try {
          if (take(line)) resolve()
        } catch (error) {
          reject(error)
        }
      }
      for (const part of parts) this.#socket.write(part)
    })
  }

  #read(part: Buffer): void {
    const bytes = this.#rest.length === 0 ? part : Buffer.concat([this.#rest, part])
    let at = 0
    for (;;) {
      const skipped = Math.min(this.#skip, bytes.length - at)
      this.#skip -= skipped
      at += skipped
      const newline = bytes.indexOf(LF, at)
      if (this.#skip > 0 || newline < 0) break
      const line = bytes.toString('latin1', at, newline - 1)
      at = newline + 1
      this.#lines?.(line)
    }
    this.#rest = Buffer.from(bytes.subarray(at))
  }
}
