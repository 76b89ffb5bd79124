// Kills at random moments, by a signal that nobody can handle: while snapshots are written, while
// they are restored. What is there afterwards is sound, and the next daemon comes up with it.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { MIB } from '../../lib/bytes/units.ts'
import { Cache } from '../../lib/engine/cache.ts'
import { snapshotsIn } from '../../lib/keeping/snapshot/folder.ts'
import { startDaemon } from '../support/daemon.ts'
import { Peer } from '../support/engine-peer.ts'
import { announceSeed, createRandom } from '../support/prng.ts'
import { runs } from '../support/runs.ts'
import { ask, openPeer } from '../support/server-peer.ts'
import { restoreFile } from '../support/snapshots.ts'

const seed = announceSeed(t)
const WRITER = fileURLToPath(new URL('../support/snapshot-writer.ts', import.meta.url))

t.test('a writer that is killed leaves complete snapshots alone', async t => {
  const random = createRandom(seed)
  const folder = t.testdir()
  let seen = 0
  for (let round = 0; round < runs(20, 500); round++) {
    const child = spawn(process.execPath, [WRITER, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    await sleep(random.below(60))
    child.kill('SIGKILL')
    await once(child, 'exit')
    for (const path of snapshotsIn(folder)) {
      const peer = new Peer(Cache.create({ memoryBytes: 16 * MIB }))
      const { filled } = restoreFile(path, peer.cache)
      const first = peer.get('key-0')?.value.toString('latin1') ?? ''
      const isSame = peer.get('key-399')?.value.toString('latin1') === first
      if (filled !== 400 || !isSame) t.fail(`seed ${seed}, round ${round}: ${path}`)
      seen++
    }
  }
  t.ok(seen > 0, `${seen} snapshots`)
})

t.test('a daemon that is killed comes up again, with values that it had', async t => {
  const random = createRandom(seed, 1)
  const folder = `${t.testdir()}/snapshots`
  mkdirSync(folder)
  const latest = new Map<number, number>()
  const args = ['-m', '64', '--snapshot-dir', folder, '--snapshot-every', '1s', '--restore', folder]
  let found = 0
  for (let round = 0; round < runs(5, 150); round++) {
    const serving = random.once(2) ? ['--restore-serving'] : []
    const daemon = await startDaemon(t, [...args, ...serving])
    const peer = await openPeer(daemon.port)
    const gets = Array.from({ length: 3000 }, (_, i) => `mg key-${i} v\r\n`).join('')
    const lines = (await ask(peer, `${gets}mn\r\n`, 'MN\r\n')).toString().split('\r\n')
    for (let i = 0, at = 0; i < 3000; i++) {
      if (lines[at++] === 'EN') continue
      const [, key, version] = /^(\d+):(\d+):x+$/.exec(lines[at++] ?? '') ?? []
      const isOld = Number(version) <= (latest.get(i) ?? -1)
      if (Number(key) !== i || !isOld) t.fail(`seed ${seed}, round ${round}: ${lines[at - 1]}`)
      found++
    }
    const sets = Array.from({ length: 2000 }, () => {
      const i = random.below(3000)
      const version = (latest.get(i) ?? 0) + 1
      latest.set(i, version)
      const value = `${i}:${version}:${'x'.repeat(1 + random.below(400))}`
      return `set key-${i} 0 0 ${value.length} noreply\r\n${value}\r\n`
    })
    await ask(peer, `${sets.join('')}mn\r\n`, 'MN\r\n')
    peer.destroy()
    await sleep(random.below(1600))
    process.kill(daemon.pid, 'SIGKILL')
    await daemon.stop()
  }
  t.pass(`${found} values came back`)
})
