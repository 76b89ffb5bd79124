/**
 * Debian's etcd on a free loopback port, with its own data folder. It can be killed and restarted.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findProgram } from './oracle.ts'
import { freePort, HOST, type Owner } from './process.ts'

export interface EtcdServer {
  readonly url: string
  /** Kills it. */
  kill(): Promise<void>
  /** Starts it again, on the same port with the same data. */
  restart(): Promise<void>
  /** One call of its JSON gateway. */
  call(path: string, body: object): Promise<Record<string, string>>
}

const READY_MS_MAX = 60_000
const CALL_MS_MAX = 5000

export async function startEtcd(owner: Owner, wanted?: number): Promise<EtcdServer> {
  const folder = mkdtempSync(join(tmpdir(), 'etcd-'))
  owner.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const url = `http://${HOST}:${wanted ?? (await freePort())}`
  const peers = `http://${HOST}:${await freePort()}`
  const args = [
    ...['--data-dir', folder, '--log-level', 'error'],
    ...['--listen-client-urls', url, '--advertise-client-urls', url],
    ...['--listen-peer-urls', peers, '--initial-advertise-peer-urls', peers],
    ...['--initial-cluster', `default=${peers}`],
  ]
  const call: EtcdServer['call'] = async (path, body) => {
    const response = await fetch(`${url}/v3/${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(CALL_MS_MAX),
    })
    return (await response.json()) as Record<string, string>
  }
  let child: ChildProcess | undefined
  const kill = async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  owner.teardown(kill)
  const restart = async () => {
    child = spawn(findProgram('etcd') ?? '', args, { stdio: 'ignore' })
    // It accepts connections before it has elected a leader.
    const isReady = () => call('lease/grant', { TTL: '1' }).then(({ ID }) => ID !== undefined)
    const deadline = Date.now() + READY_MS_MAX
    while (Date.now() < deadline && child.exitCode === null) {
      if (await isReady().catch(() => false)) return
      await sleep(50)
    }
    throw new Error(`etcd is not ready (exit code ${child.exitCode})`)
  }
  await restart()
  return { url, call, kill, restart }
}
