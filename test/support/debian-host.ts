/**
 * A bare Debian with systemd, booted in a container of its own: its processes, its files and its
 * network, which is a loopback. Needs root and systemd-nspawn.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Owner } from './process.ts'

/** A folder that debootstrap has filled, to be copied: see test/deploy/run.sh. */
const ROOT_VARIABLE = 'MEMSLAB_DEBIAN_ROOT'
const WAIT_MS_MAX = 120_000
const POLL_MS = 100
const COMMAND_MS_MAX = 180_000
const OUTPUT_BYTES_MAX = 16 << 20
/** Where files of the test are in the host. */
const GIFTS = '/root/gifts'

/** Its exit code, and what it printed on both streams. */
export interface Outcome {
  code: number
  text: string
}

export class DebianHost {
  private readonly root: string
  private readonly leader: number

  constructor(root: string, leader: number) {
    this.root = root
    this.leader = leader
  }

  /** Runs a shell's script in the host, as root. */
  try(script: string): Outcome {
    const words = ['-t', String(this.leader), '-a', 'bash', '-c', script]
    const { status, stdout, stderr } = spawnSync('nsenter', words, {
      encoding: 'utf8',
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', DEBIAN_FRONTEND: 'noninteractive' },
      timeout: COMMAND_MS_MAX,
      maxBuffer: OUTPUT_BYTES_MAX,
    })
    return { code: status ?? -1, text: `${stdout}${stderr}` }
  }

  /** The same; anything but exit code 0 is an Error. Returns what it printed, trimmed. */
  run(script: string): string {
    const { code, text } = this.try(script)
    if (code !== 0) throw new Error(`${script}: exit code ${code}\n${text}`)
    return text.trim()
  }

  /** Copies a file there. Returns its path there. */
  give(file: string, name: string): string {
    mkdirSync(join(this.root, GIFTS), { recursive: true })
    cpSync(file, join(this.root, GIFTS, name))
    return `${GIFTS}/${name}`
  }

  /** Waits until this script ends with exit code 0. */
  async until(script: string): Promise<void> {
    const endMs = Date.now() + WAIT_MS_MAX
    while (this.try(script).code !== 0) {
      if (Date.now() > endMs) throw new Error(`in vain: ${script}`)
      await sleep(POLL_MS)
    }
  }

  /** What a server there answers to these lines of the text protocol, and `quit`. */
  ask(lines: string, port = 11211): string {
    const script = `exec 3<>/dev/tcp/127.0.0.1/${port}; printf '%s\\r\\n' ${lines} quit >&3; timeout 10 cat <&3`
    return this.run(script).replaceAll('\r', '')
  }

  /** A property of a unit. */
  show(unit: string, property: string): string {
    return this.run(`systemctl show --value --property ${property} ${unit}`)
  }

  /** Waits until a unit has said something that matches: a line may come after what it tells of. */
  async untilLogged(unit: string, pattern: RegExp): Promise<void> {
    const endMs = Date.now() + WAIT_MS_MAX
    while (!pattern.test(this.journal(unit))) {
      if (Date.now() > endMs) throw new Error(`in vain: ${pattern} in\n${this.journal(unit)}`)
      await sleep(POLL_MS)
    }
  }

  /** The lines of a unit in the journal. */
  journal(unit: string): string {
    return this.run(`journalctl --no-pager --output cat --unit ${unit}`)
  }
}

/** Boots one, which the test that owns it takes down. */
export async function bootDebian(owner: Owner): Promise<DebianHost> {
  const folder = mkdtempSync(join(tmpdir(), 'debian-'))
  owner.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const root = join(folder, 'root')
  execFileSync('cp', ['-a', process.env[ROOT_VARIABLE] ?? '', root])
  const words = ['--keep-unit', '--register=no', '--private-network', '-D', root]
  const nspawn = spawn('systemd-nspawn', [...words, '-b', '--console=pipe'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const keep = (chunk: Buffer) => {
    output = (output + chunk).slice(-OUTPUT_BYTES_MAX)
  }
  nspawn.stdout.on('data', keep)
  nspawn.stderr.on('data', keep)
  owner.teardown(() => end(nspawn))
  const host = new DebianHost(root, await leaderOf(nspawn, () => output))
  await host.until('systemctl is-system-running --wait')
  return host
}

/** Its first process, which is the only child of systemd-nspawn. */
async function leaderOf({ pid, ...nspawn }: ChildProcess, output: () => string): Promise<number> {
  const endMs = Date.now() + WAIT_MS_MAX
  while (Date.now() < endMs && (nspawn.exitCode ?? null) === null) {
    const children = childrenOf(pid)
    if (children.length === 1) return children[0]
    await sleep(POLL_MS)
  }
  throw new Error(`no boot: ${output()}`)
}

/** Ends its first process, and with that all others. Without systemd-nspawn they would live on. */
async function end(nspawn: ChildProcess): Promise<void> {
  if (nspawn.exitCode !== null || nspawn.signalCode !== null) return
  const ended = new Promise(resolve => nspawn.once('exit', resolve))
  for (const child of childrenOf(nspawn.pid)) process.kill(child, 'SIGKILL')
  nspawn.kill('SIGKILL')
  await ended
}

function childrenOf(pid: number | undefined): number[] {
  const words = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ')
  return words.map(Number).filter(child => child > 0)
}
