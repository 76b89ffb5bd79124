/**
 * Peers and observations for tests of the whole daemon: a request and its reply, `stats` as a map,
 * what the system knows of the process, bounded waits for a condition.
 */
import { createHash, type Hash } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { HOST } from './process.ts'

/** Generous: a machine may be busy with other tests. */
export const ANSWER_MS_MAX = 30_000

/** A TCP port, or the path of a UNIX socket. */
export type Place = number | string

/** Resolves with a connected, paused socket. */
export async function openPeer(place: Place, host = HOST): Promise<Socket> {
  const where = typeof place === 'string' ? { path: place } : { port: place, host }
  const socket = connect({ ...where, noDelay: true, allowHalfOpen: true })
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

/** Sends a request and resolves with the reply once it ends with `ending`. '': sends nothing. */
export async function ask(socket: Socket, request: string | Buffer, ending: string) {
  const reply = readUntil(socket, ending)
  // To a server that has closed already, a write would end the socket before its reply is read.
  if (request.length > 0) socket.write(request)
  return (await reply).toString('latin1')
}

/** Resolves with everything received once it ends with `ending` or the peer closes. */
export async function readUntil(socket: Socket, ending: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  const wanted = Buffer.from(ending)
  let tail = Buffer.alloc(0)
  return new Promise((resolve, reject) => {
    const settle = (outcome: () => void) => {
      clearTimeout(timer)
      socket.pause().off('data', take).off('end', finish).off('close', finish)
      outcome()
    }
    const finish = () => settle(() => resolve(Buffer.concat(chunks)))
    const take = (chunk: Buffer) => {
      chunks.push(chunk)
      if (ending === '') return
      tail = Buffer.concat([tail, chunk]).subarray(-wanted.length)
      if (tail.equals(wanted)) finish()
    }
    const late = () => {
      const got = Buffer.concat(chunks).toString('latin1').slice(-200)
      settle(() => reject(new Error(`no ${JSON.stringify(ending)} but ${JSON.stringify(got)}`)))
    }
    const timer = setTimeout(late, ANSWER_MS_MAX)
    socket.on('data', take).on('end', finish).on('close', finish)
    if (socket.destroyed || socket.readableEnded) finish()
    else socket.resume()
  })
}

/** One request on a new connection. */
export async function askOnce(place: Place, request: string, ending: string, host = HOST) {
  const socket = await openPeer(place, host)
  const reply = await ask(socket, request, ending)
  socket.destroy()
  return reply
}

/** `stats` or one of its reports, by name. */
export async function statsOf(place: Place, report = ''): Promise<Map<string, string>> {
  const text = await askOnce(place, `stats ${report}\r\n`, 'END\r\n')
  const lines = text.split('\r\n').filter(line => line.startsWith('STAT '))
  return new Map(
    lines.map(line => {
      const [, name = '', ...value] = line.split(' ')
      return [name, value.join(' ')]
    }),
  )
}

/** Chunks in use in all slab classes. */
export async function usedChunks(place: Place): Promise<number> {
  const stats = [...(await statsOf(place, 'slabs'))]
  const used = stats.filter(([name]) => name.endsWith(':used_chunks'))
  return used.reduce((sum, [, value]) => sum + Number(value), 0)
}

/** Resident memory of a process, bytes. */
export function residentBytes(pid: number): number {
  const [, kib = '0'] =
    /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kib) * 1024
}

export function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** Whether the condition becomes true within the bound. */
export async function comesTrue(fact: () => boolean | Promise<boolean>, msMax = ANSWER_MS_MAX) {
  const deadline = performance.now() + msMax
  while (!(await fact())) {
    if (performance.now() > deadline) return false
    await sleep(20)
  }
  return true
}

/** Sends bytes in pieces of these lengths, one write each, with backpressure. */
export async function sendPieces(socket: Socket, bytes: Buffer, nextLength: () => number) {
  for (let at = 0; at < bytes.length && !socket.destroyed; ) {
    const end = Math.min(bytes.length, at + nextLength())
    if (!socket.write(bytes.subarray(at, end))) await once(socket, 'drain')
    at = end
  }
}

/** Reads exactly `length` bytes and resolves with their digest. */
export async function digestOf(socket: Socket, bytes: number): Promise<string> {
  const hash: Hash = createHash('sha1')
  let left = bytes
  await new Promise<void>((resolve, reject) => {
    const fail = () => reject(new Error(`${left} bytes are missing`))
    const take = (chunk: Buffer) => {
      hash.update(chunk)
      left -= chunk.length
      if (left > 0) return
      socket.pause().off('data', take).off('close', fail)
      resolve()
    }
    socket.on('data', take).on('close', fail).resume()
  })
  return left === 0 ? hash.digest('hex') : `${-left} bytes too many`
}
