// Peers that list all keys again and again.

import { type Attack, expectOpen, openPeer, request, type Target } from '../attack.ts'

const PEERS = 20
const ITEMS = 50_000
const VALUE = 'd'.repeat(50)
const BATCH = 1000
/** memcached serves one dump at a time. A peer that was refused tries again after this time. */
const REFUSED_MS = 5

export const metadumps: Attack = {
  name: 'metadump loops',
  prepare: fill,
  async start({ port }, watch) {
    for (let peer = 0; peer < PEERS; peer++) {
      const socket = await openPeer(port)
      expectOpen(socket, watch)
      const ask = () => socket.write('lru_crawler metadump all\r\n')
      let tail = ''
      socket.on('data', (part: Buffer) => {
        tail = (tail + part.toString('latin1', Math.max(0, part.length - 64))).slice(-64)
        if (tail.endsWith('END\r\n')) ask()
        else if (/BUSY[^\r\n]*\r\n$/.test(tail)) setTimeout(ask, REFUSED_MS)
      })
      ask()
    }
  },
}

async function fill({ port }: Target): Promise<void> {
  const socket = await openPeer(port)
  for (let from = 0; from < ITEMS; from += BATCH) {
    const sets = Array.from(
      { length: BATCH },
      (_, i) => `set abuse-item${from + i} 0 0 ${VALUE.length} noreply\r\n${VALUE}\r\n`,
    )
    await request(socket, `${sets.join('')}mn\r\n`, 'MN\r\n')
  }
  socket.destroy()
}
