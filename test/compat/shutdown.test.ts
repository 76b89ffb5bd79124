/**
 * `shutdown` of memslab with -A and of memcached: the reply to the client that sent it, what
 * happens to other connections, what the process prints and its exit code.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { findProgram, skipWithout } from '../support/oracle.ts'
import { freePort, HOST } from '../support/process.ts'
import { ask, comesTrue, openPeer, readUntil } from '../support/server-peer.ts'

const MAIN = fileURLToPath(new URL('../../lib/main.ts', import.meta.url))
const START_MS_MAX = 30_000

interface Ending {
  code: number | null
  signal: NodeJS.Signals | null
  reply: string
  otherClosed: boolean
  told: string
}

for (const line of ['shutdown', 'shutdown graceful']) {
  t.test(`${line} ends the daemon as it ends memcached`, async t => {
    const daemon = await endingOf(t, process.execPath, [MAIN], line)
    t.match(daemon, { code: 0, signal: null, reply: '', otherClosed: true })
    const told = line === 'shutdown' ? 'Signal handled: Interrupt.' : 'Gracefully stopping'
    t.match(daemon.told, told)
    const skip = skipWithout('memcached')
    if (typeof skip === 'string') return t.comment(skip)
    const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
    const oracle = await endingOf(t, findProgram('memcached') ?? '', user, line)
    t.same({ ...daemon, told: '' }, { ...oracle, told: '' })
  })
}

async function endingOf(t: Test, command: string, args: string[], line: string): Promise<Ending> {
  const port = await freePort()
  const child = spawn(command, [...args, '-A', '-p', `${port}`, '-l', HOST])
  t.teardown(() => child.kill('SIGKILL'))
  let told = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      told += chunk.toString()
    })
  }
  const exited = once(child, 'exit')
  const serves = async () => {
    const peer = await openPeer(port).catch(() => null)
    if (peer === null) return false
    const reply = await ask(peer, 'version\r\n', '\r\n').catch(() => '')
    peer.destroy()
    return reply !== ''
  }
  if (!(await comesTrue(serves, START_MS_MAX))) throw new Error(`${command} did not start: ${told}`)
  const other = await openPeer(port)
  await ask(other, 'version\r\n', '\r\n')
  const peer = await openPeer(port)
  peer.write(`${line}\r\nversion\r\n`)
  const reply = (await readUntil(peer, '')).toString()
  await readUntil(other, '')
  const [code, signal] = await exited
  return { code, signal, reply, otherClosed: other.readableEnded || other.destroyed, told }
}
