// -L: the kernel backs items with large pages, in a process that keeps its id and options; or one
// line says why not.

import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { startDaemon } from '../../support/daemon.ts'
import { ask, openPeer } from '../../support/server-peer.ts'

const KERNEL = '/sys/kernel/mm/transparent_hugepage/enabled'
const VALUE = 'v'.repeat(500_000)
const mode = existsSync(KERNEL) ? readFileSync(KERNEL, 'utf8') : ''
const hasThem = mode.includes('[madvise]') || mode.includes('[always]')

t.test('items are in large pages', async t => {
  const daemon = await startDaemon(t, ['-L', '-m', '64', '-t', '1'])
  const peer = await openPeer(daemon.port)
  t.teardown(() => peer.destroy())
  for (let i = 0; i < 80; i++) {
    t.equal(await ask(peer, `set k${i} 0 0 ${VALUE.length}\r\n${VALUE}\r\n`, '\r\n'), 'STORED\r\n')
  }
  const stats = await ask(peer, 'stats\r\n', 'END\r\n')
  t.match(stats, `STAT pid ${daemon.pid}\r\n`, 'it is the process that was started')
  t.match(stats, 'STAT limit_maxbytes 67108864\r\n', 'with its options')
  if (hasThem) t.ok(largeKib(daemon.pid) > 16 * 1024, `${largeKib(daemon.pid)} KiB`)
  else t.match(daemon.output(), /warning: no large pages: .+\n/)
})

t.test('without -L they are not, if the kernel is set to madvise', async t => {
  if (!mode.includes('[madvise]')) {
    t.pass('it does not wait')
    return
  }
  const daemon = await startDaemon(t, ['-m', '64', '-t', '1'])
  const peer = await openPeer(daemon.port)
  t.teardown(() => peer.destroy())
  for (let i = 0; i < 40; i++) {
    await ask(peer, `set k${i} 0 0 ${VALUE.length}\r\n${VALUE}\r\n`, '\r\n')
  }
  t.ok(largeKib(daemon.pid) < 16 * 1024)
})

/** Memory of the process in large pages, bytes. */
function largeKib(pid: number): number {
  const maps = readFileSync(`/proc/${pid}/smaps`, 'utf8')
  let sum = 0
  for (const [, kib] of maps.matchAll(/^AnonHugePages:\s+(\d+) kB/gm)) sum += Number(kib)
  return sum
}
