// Peers that begin something and stop: readers of long values, uploads of long values; and peers
// that send one byte at a time.

import { type Attack, openDeaf, openPeer, store, type Target, type Watch } from '../attack.ts'

const READERS = 1000
const UPLOADERS = 1000
const VALUE_BYTES = 1_000_000
const SENT_BYTES = 5000
const OPENED_AT_ONCE = 50
const SLOW_PEERS = 200
const SLOW_EVERY_MS = 5

export const stalledReads: Attack = {
  name: 'stalled 1 MB reads',
  prepare: ({ port }) => store(port, 'abuse-long', VALUE_BYTES),
  start: ({ port }) =>
    openMany(READERS, async () => {
      const socket = await openPeer(port)
      socket.pause()
      socket.write('get abuse-long\r\n')
    }),
}

/** The server may close them: they hold memory. */
export const stalledUploads: Attack = {
  name: 'stalled 1 MB uploads',
  start: ({ port }) =>
    openMany(UPLOADERS, async peer => {
      const socket = await openDeaf(port)
      socket.write(`set abuse-upload${peer} 0 0 ${VALUE_BYTES}\r\n${'u'.repeat(SENT_BYTES)}`)
    }),
}

/** Each request arrives in pieces of one byte; every reply is checked. */
export const slowBytes: Attack = {
  name: 'byte by byte',
  start: (target, watch) => openMany(SLOW_PEERS, peer => dribble(target, watch, peer)),
}

async function dribble({ port }: Target, watch: Watch, peer: number): Promise<void> {
  const socket = await openPeer(port)
  socket.setNoDelay(true)
  socket.on('close', () => watch.lose('a slow peer was closed'))
  const [set, get] = [`set abuse-slow${peer} 0 0 3\r\nabc\r\n`, `get abuse-slow${peer}\r\n`]
  const wanted = `STORED\r\nVALUE abuse-slow${peer} 0 3\r\nabc\r\nEND\r\n`
  let reply = ''
  socket.on('data', (part: Buffer) => {
    reply += part.toString('latin1')
  })
  const requests = set + get
  let at = 0
  setInterval(() => {
    if (at === requests.length) {
      if (reply.length < wanted.length) return
      if (reply !== wanted) watch.lose(`a slow peer got ${JSON.stringify(reply)}`)
      reply = ''
      at = 0
    }
    socket.write(requests[at++])
  }, SLOW_EVERY_MS)
}

async function openMany(count: number, open: (peer: number) => Promise<void>): Promise<void> {
  for (let from = 0; from < count; from += OPENED_AT_ONCE) {
    const peers = Array.from({ length: Math.min(OPENED_AT_ONCE, count - from) }, (_, i) => from + i)
    await Promise.all(peers.map(open))
  }
}
