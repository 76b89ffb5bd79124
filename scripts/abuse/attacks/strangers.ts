// Peers that are let in nowhere: wrong passwords, garbage, datagrams.

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type Attack, HOST, loginOf, openDeaf, openPeer, store, type Target } from '../attack.ts'

const GUESSERS = 50
const GARBAGE_PEERS = 20
const GARBAGE_BYTES = 16_384
const DATAGRAM_HEADER_BYTES = 8
const DATAGRAMS_AT_ONCE = 64
const UDP_SOCKETS = 2

export const guesses: Attack = {
  name: 'failed log-ins',
  need: 'login',
  start: target => openAll(GUESSERS, () => guess(target)),
}

/** One wrong password after the other, each on a connection of its own. */
async function guess({ port }: Target): Promise<never> {
  for (let guessed = 0; ; guessed++) {
    const socket = await openPeer(port)
    socket.write(loginOf(`wrong${guessed}`))
    await Promise.race([once(socket, 'data'), once(socket, 'close')])
    socket.destroy()
  }
}

export const garbage: Attack = {
  name: 'garbage',
  start: target => openAll(GARBAGE_PEERS, peer => talkNonsense(target, peer)),
}

async function talkNonsense({ port }: Target, peer: number): Promise<never> {
  for (let round = peer; ; round++) {
    const socket = await openDeaf(port)
    socket.end(nonsense(round))
    await once(socket, 'close')
  }
}

/** Every other piece has line ends now and then, so that it is many commands. */
function nonsense(round: number): Buffer {
  const bytes = Buffer.allocUnsafe(GARBAGE_BYTES)
  let state = round + 1
  for (let i = 0; i < bytes.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    bytes[i] = round % 2 === 0 && state % 31 === 0 ? 10 : state >>> 24
  }
  return bytes
}

export const datagrams: Attack = {
  name: 'UDP flood',
  need: 'udp',
  prepare: ({ port }) => store(port, 'abuse-hit', 100),
  async start({ udpPort }) {
    const header = Buffer.from([0, 1, 0, 0, 0, 1, 0, 0])
    const datagram = Buffer.concat([header, Buffer.from('get abuse-hit\r\n')])
    if (header.length !== DATAGRAM_HEADER_BYTES) throw new Error('a header of UDP has 8 bytes')
    for (let i = 0; i < UDP_SOCKETS; i++) {
      const socket = createSocket('udp4')
      socket.on('error', () => {})
      socket.on('message', () => {})
      socket.bind(0, HOST)
      await once(socket, 'listening')
      const more = () => {
        for (let sent = 0; sent < DATAGRAMS_AT_ONCE; sent++) {
          socket.send(datagram, udpPort, HOST, () => {})
        }
        setImmediate(more)
      }
      more()
    }
  },
}

/** The peers go on; only those that fail at once are reported. */
async function openAll(count: number, run: (peer: number) => Promise<never>): Promise<void> {
  for (let peer = 0; peer < count; peer++) {
    run(peer).catch(() => {})
  }
}
