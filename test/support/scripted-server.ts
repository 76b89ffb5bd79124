/** A server in the test's process that answers lines by a script. */
import { createServer, type Socket } from 'node:net'
import { HOST, type Owner } from './process.ts'

export interface ScriptedServer {
  readonly port: number
  /** Every line received, in order. */
  readonly lines: string[]
  /** Open connections. */
  readonly sockets: Set<Socket>
  /** Closes all connections and stops listening. */
  close(): void
}

/** Passes each line to `answer` and sends what it returns. */
export async function startScripted(
  owner: Owner,
  answer: (line: string, socket: Socket) => string | undefined,
): Promise<ScriptedServer> {
  const lines: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    let rest = ''
    socket.on('data', part => {
      const pieces = (rest + part.toString('latin1')).split('\r\n')
      rest = pieces.pop() ?? ''
      for (const line of pieces) {
        lines.push(line)
        const reply = answer(line, socket)
        if (reply !== undefined) socket.write(reply)
      }
    })
  })
  await new Promise<void>(resolve => server.listen(0, HOST, resolve))
  const close = () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  owner.teardown(close)
  const { port } = server.address() as { port: number }
  return { port, lines, sockets, close }
}
