// A proxy before servers that counts what a client asks of them in the meta commands: requests, and
// round trips. Requests that go out before an answer came are one round trip, to however many
// servers. It is for one call at a time.

import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

const HOST = '127.0.0.1'
const LF = 10
const CRLF_BYTES = 2

export class RequestCounter {
  /** Where the proxies listen, one for each server. */
  readonly names: string[] = []
  /** Without the marks that end a batch. */
  requests = 0
  roundTrips = 0
  private readonly servers: Server[] = []
  private readonly sockets = new Set<Socket>()
  /** Connections whose answers are still to come. */
  private readonly waiting = new Set<Socket>()

  /** `ports` of servers on this machine. */
  static async open(ports: readonly number[]): Promise<RequestCounter> {
    const counter = new RequestCounter()
    for (const port of ports) await counter.add(port)
    return counter
  }

  reset(): void {
    this.requests = 0
    this.roundTrips = 0
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy()
    for (const server of this.servers) server.close()
  }

  private async add(port: number): Promise<void> {
    const server = createServer(client => this.serve(client, port)).listen(0, HOST)
    await once(server, 'listening')
    this.servers.push(server)
    const { port: own } = server.address() as { port: number }
    this.names.push(`${HOST}:${own}`)
  }

  private serve(client: Socket, port: number): void {
    const server = connect({ host: HOST, port, noDelay: true })
    client.setNoDelay(true)
    for (const socket of [client, server]) {
      this.sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        for (const either of [client, server]) {
          this.sockets.delete(either)
          either.destroy()
        }
        this.waiting.delete(client)
      })
    }
    const count = requestsOf()
    client.on('data', (part: Buffer) => {
      if (this.waiting.size === 0) this.roundTrips++
      this.waiting.add(client)
      this.requests += count(part)
      server.write(part)
    })
    server.on('data', (part: Buffer) => {
      this.waiting.delete(client)
      client.write(part)
    })
  }
}

/** Counts the requests in a stream, part by part. */
function requestsOf(): (part: Buffer) => number {
  let rest = Buffer.alloc(0)
  return part => {
    rest = Buffer.concat([rest, part])
    let count = 0
    for (;;) {
      const newline = rest.indexOf(LF)
      if (newline < 0) return count
      const [verb, , length] = rest.toString('latin1', 0, newline).split(' ')
      const end = newline + 1 + (verb === 'ms' ? Number.parseInt(length, 10) + CRLF_BYTES : 0)
      if (rest.length < end) return count
      if (!verb.startsWith('mn')) count++
      rest = rest.subarray(end)
    }
  }
}
