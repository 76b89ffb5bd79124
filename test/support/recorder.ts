/**
 * Replacements for memcached servers that store nothing but record which keys each of them got:
 * what a client's own hash ring does, seen from the server. They speak as much of the text and
 * binary protocols as a `set` needs.
 */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'

const BINARY_REQUEST = 0x80
const HEADER_BYTES = 24
const LF = 10

export class Recorders {
  readonly ports: number[] = []
  /** Index of the server that got the key. */
  readonly owners = new Map<string, number>()
  private readonly servers: Server[] = []
  private readonly sockets = new Set<Socket>()

  static async start(count: number): Promise<Recorders> {
    const recorders = new Recorders()
    for (let index = 0; index < count; index++) await recorders.add(index)
    return recorders
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    await Promise.all(this.servers.map(server => new Promise(done => server.close(done))))
  }

  private async add(index: number): Promise<void> {
    const server = createServer(socket => this.serve(socket, index))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    this.servers.push(server)
    this.ports.push((server.address() as AddressInfo).port)
  }

  private serve(socket: Socket, index: number): void {
    this.sockets.add(socket)
    let rest = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('data', (part: Buffer) => {
      rest = Buffer.concat([rest, part])
      for (;;) {
        const used =
          rest[0] === BINARY_REQUEST
            ? this.frame(rest, index, socket)
            : this.line(rest, index, socket)
        if (used === 0) break
        rest = rest.subarray(used)
      }
    })
  }

  private line(bytes: Buffer, index: number, socket: Socket): number {
    const newline = bytes.indexOf(LF)
    if (newline < 0) return 0
    const [verb, key = '', , , valueBytes] = bytes.toString('latin1', 0, newline - 1).split(' ')
    if (verb !== 'set') {
      socket.write(verb === 'version' ? 'VERSION 1.6.18\r\n' : 'ERROR\r\n')
      return newline + 1
    }
    const end = newline + 1 + Number(valueBytes) + 2
    if (bytes.length < end) return 0
    this.owners.set(key, index)
    socket.write('STORED\r\n')
    return end
  }

  private frame(bytes: Buffer, index: number, socket: Socket): number {
    if (bytes.length < HEADER_BYTES) return 0
    const end = HEADER_BYTES + bytes.readUInt32BE(8)
    if (bytes.length < end) return 0
    const keyAt = HEADER_BYTES + bytes[4]
    const keyBytes = bytes.readUInt16BE(2)
    if (keyBytes > 0) this.owners.set(bytes.toString('latin1', keyAt, keyAt + keyBytes), index)
    const reply = Buffer.alloc(HEADER_BYTES)
    reply[0] = 0x81
    reply[1] = bytes[1]
    bytes.copy(reply, 12, 12, 16)
    socket.write(reply)
    return end
  }
}
