/** A daemon is replaced while pymemcache and php-memcached use it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { startDaemon } from '../support/daemon.ts'
import { findProgram, PYTHON, skipWithoutPhp, skipWithoutPython } from '../support/oracle.ts'
import { HOST } from '../support/process.ts'
import { runs } from '../support/runs.ts'
import { startDynasty } from '../support/upgrades.ts'

const CLIENTS = 3
/** Between two upgrades. */
const CALM_MS = 400

async function upgradeUnder(t: Test, program: string, session: string): Promise<void> {
  const dynasty = await startDynasty(t, ['-m', '64', '-t', '2'], startDaemon)
  const script = fileURLToPath(new URL(session, import.meta.url))
  const clients = Array.from({ length: CLIENTS }, (_, i) => {
    const args = [script, HOST, String(dynasty.server.port), `client${i}`]
    const client = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    t.teardown(() => client.kill('SIGKILL'))
    return { client, said: text(client.stdout), ended: once(client, 'exit') }
  })
  await sleep(CALM_MS)
  for (let round = 0; round < runs(2, 20); round++) {
    await dynasty.upgrade()
    await sleep(CALM_MS)
  }
  for (const { client, said, ended } of clients) {
    client.stdin.end()
    const [outcome] = await Promise.all([said, ended])
    t.comment(outcome.trim())
    t.match(JSON.parse(outcome), { failed: 0, wrong: 0, lost: 0 })
  }
}

t.test('pymemcache', { skip: skipWithoutPython('pymemcache') }, async t => {
  await upgradeUnder(t, PYTHON, 'pymemcache/upgrade.py')
})

t.test('php-memcached', { skip: skipWithoutPhp('memcached') }, async t => {
  await upgradeUnder(t, findProgram('php') ?? 'php', 'php-memcached/upgrade.php')
})
