// An administrative exchange with one server, in lines, over its own socket: for replies that are
// not about a key or have no bound, and so do not fit connection.ts.

import { CacheError } from '../../doors/errors.ts'
import { TALK_LINE_BYTES_MAX } from '../limits.ts'
import {
  addressText,
  type ConnectionOptions,
  openSocket,
  type ServerAddress,
} from './connection.ts'

export interface TalkOptions extends Pick<ConnectionOptions, 'tls' | 'auth'> {
  /** How long the server may be silent, ms. */
  silenceMs: number
  signal?: AbortSignal
}

/**
 * Sends `request` and yields the lines of the reply, without line ends, until the caller stops.
 * Reads with backpressure. CONNECTION, TIMEOUT, PROTOCOL, AUTH.
 */
export async function* talk(
  address: ServerAddress,
  request: string,
  { tls, auth, silenceMs, signal }: TalkOptions,
): AsyncGenerator<string> {
  const name = addressText(address)
  const socket = openSocket(address, tls)
  const stop = () => socket.destroy()
  signal?.addEventListener('abort', stop, { once: true })
  socket.setTimeout(silenceMs, () => {
    socket.destroy(new CacheError('TIMEOUT', 'no answer in time', { server: name }))
  })
  try {
    if (auth !== undefined) socket.write(authOf(auth.user, auth.password))
    socket.write(request)
    let isKnown = auth === undefined
    let rest = ''
    for await (const part of socket) {
      // While the caller handles lines, the server does not count as silent.
      socket.setTimeout(0)
      const lines = (rest + (part as Buffer).toString('latin1')).split('\n')
      rest = lines.pop() ?? ''
      if (rest.length > TALK_LINE_BYTES_MAX) {
        throw new CacheError('PROTOCOL', 'a line without an end', { server: name })
      }
      for (const line of lines) {
        const text = line.endsWith('\r') ? line.slice(0, -1) : line
        if (isKnown) yield text
        else if (text !== 'STORED')
          throw new CacheError('AUTH', 'user and password were refused', { server: name })
        isKnown = true
      }
      socket.setTimeout(silenceMs)
    }
  } catch (error) {
    if (error instanceof CacheError) throw error
    throw new CacheError('CONNECTION', error instanceof Error ? error.message : String(error), {
      server: name,
    })
  } finally {
    signal?.removeEventListener('abort', stop)
    socket.destroy()
  }
  throw new CacheError('CONNECTION', 'the server closed the connection', { server: name })
}

function authOf(user: string, password: string): string {
  const words = `${user} ${password}`
  return `set auth 0 0 ${Buffer.byteLength(words)}\r\n${words}\r\n`
}
