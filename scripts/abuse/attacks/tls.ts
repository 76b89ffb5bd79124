// Peers that make TLS work: handshakes without end, and requests for new keys without end.

import { once } from 'node:events'
import { connect } from 'node:tls'
import { start } from '../../bench/processes.ts'
import { type Attack, HOST, type Target } from '../attack.ts'

const HANDSHAKES_AT_ONCE = 16
const KEY_PEERS = 4
/** The time for a client's handshake, after which the first line is a command of the client's. */
const SETTLE_MS = 300

export const handshakes: Attack = {
  name: 'TLS handshakes',
  need: 'tls',
  async start(target) {
    for (let i = 0; i < HANDSHAKES_AT_ONCE; i++) shake(target).catch(() => {})
  },
}

async function shake({ tlsPort }: Target): Promise<never> {
  for (;;) {
    const socket = connect({ host: HOST, port: tlsPort, rejectUnauthorized: false })
    socket.on('error', () => {})
    await Promise.race([once(socket, 'secureConnect'), once(socket, 'close')])
    socket.destroy()
  }
}

/**
 * The `openssl` program renews its keys and asks for others when a piece of its input begins with
 * `K`.
 */
export const keyUpdates: Attack = {
  name: 'KeyUpdate flood',
  need: 'tls',
  async start({ tlsPort }) {
    for (let peer = 0; peer < KEY_PEERS; peer++) {
      const args = ['s_client', '-connect', `${HOST}:${tlsPort}`, '-tls1_3']
      const child = start(['openssl', ...args], undefined, { stdio: ['pipe', 'ignore', 'ignore'] })
      child.stdin?.on('error', () => {})
      setTimeout(() => press(child.stdin), SETTLE_MS)
    }
  },
}

function press(input: NodeJS.WritableStream | null): void {
  if (input === null || !input.writable) return
  input.write('K\n', () => setImmediate(() => press(input)))
}
