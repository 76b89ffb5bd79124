// Nodes that are processes of this host: daemons in the background on ports of a range, each with a
// pid file in one folder, DIR/PORT.pid. The folder is all that it remembers: a scaler that starts
// again, or another one that takes over on this host, finds the nodes there.
//
// A pid file alone may name a process that got the number later. So each node has the path of its
// file in its environment, and nothing is sent a signal that does not have it.

import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { addressText } from '../../../client/nodes/connection.ts'
import type { ProcessesOptions } from '../config/schema.ts'
import { execute } from '../run-program.ts'
import type { Driver } from './driver.ts'

/** In a node's environment: the path of its pid file. */
const MARK = 'MEMSLAB_SCALE_NODE'
const PID_FILE = /^(\d{1,5})\.pid$/
/** What stands for the port in arguments of a node. */
const PORT_WORD = '{port}'
/** How often it is looked whether a process has ended. */
const LOOK_MS = 50

/** Program and first arguments of a daemon. */
export type Program = readonly string[]

interface Process {
  port: number
  /** Null: it has ended. */
  pid: number | null
}

export class ProcessesDriver implements Driver {
  readonly name = 'processes'
  private readonly options: ProcessesOptions
  private readonly program: Program
  private readonly dir: string

  constructor(options: ProcessesOptions, program: Program) {
    this.options = options
    this.program = program
    this.dir = resolve(options.dir)
  }

  async nodes(): Promise<string[]> {
    return this.processes().map(({ port }) => this.nameOf(port))
  }

  async grow(to: number, _have: readonly string[], signal: AbortSignal): Promise<void> {
    while (this.processes().length < to) await this.start(await this.freePort(), signal)
  }

  async remove(
    node: string,
    _to: number,
    _have: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    const found = this.processes().find(({ port }) => this.nameOf(port) === node)
    if (found === undefined) return
    if (found.pid !== null) await this.end(found.port, found.pid, signal)
    rmSync(this.fileOf(found.port), { force: true })
  }

  /** A node that died is started again where it was: it keeps its keys on the hash ring. */
  async repair(signal: AbortSignal): Promise<string[]> {
    const started: string[] = []
    for (const { port, pid } of this.processes()) {
      if (pid !== null) continue
      await this.start(port, signal)
      started.push(this.nameOf(port))
    }
    return started
  }

  /** In the order of their ports. */
  private processes(): Process[] {
    mkdirSync(this.dir, { recursive: true })
    const ports = readdirSync(this.dir).flatMap(file => PID_FILE.exec(file)?.[1] ?? [])
    return ports
      .map(Number)
      .sort((a, b) => a - b)
      .map(port => ({ port, pid: this.pidOf(port) }))
  }

  /** Resolves when it listens. */
  private async start(port: number, signal: AbortSignal): Promise<void> {
    const { host, args, start } = this.options
    const file = this.fileOf(port)
    const own = args.map(arg => arg.replaceAll(PORT_WORD, String(port)))
    const place = ['-d', '-P', file, '-l', host, '-p', String(port)]
    await execute({
      words: [...this.program, ...own, ...place],
      env: { [MARK]: file },
      timeoutMs: start,
      signal,
    })
    if (this.pidOf(port) === null) throw new Error(`the node at port ${port} ended at once`)
  }

  private async end(port: number, pid: number, signal: AbortSignal): Promise<void> {
    send(pid, 'SIGTERM')
    const untilMs = performance.now() + this.options.stop
    while (this.pidOf(port) === pid) {
      // Its items are moved already: nothing is lost.
      if (performance.now() > untilMs) send(pid, 'SIGKILL')
      await sleep(LOOK_MS, undefined, { signal })
    }
  }

  private async freePort(): Promise<number> {
    const { host, ports } = this.options
    const taken = new Set(this.processes().map(({ port }) => port))
    for (let port = ports.first; port <= ports.last; port++) {
      if (!taken.has(port) && (await isFree(host, port))) return port
    }
    throw new Error(`no port from ${ports.first} to ${ports.last} is free at ${host}`)
  }

  /** The process that is the node of this port; null: it has ended. */
  private pidOf(port: number): number | null {
    const file = this.fileOf(port)
    const pid = Number(readIfThere(file))
    if (!Number.isInteger(pid) || pid < 1) return null
    const environment = readIfThere(`/proc/${pid}/environ`).split('\0')
    return environment.includes(`${MARK}=${file}`) ? pid : null
  }

  private fileOf(port: number): string {
    return join(this.dir, `${port}.pid`)
  }

  private nameOf(port: number): string {
    return addressText({ host: this.options.host, port })
  }
}

/** Empty where there is no such file, or no such process any more. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ESRCH') return ''
    throw new Error(`${path} cannot be read: ${code}`)
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // It has ended meanwhile.
    if (code !== 'ESRCH') throw new Error(`no signal to process ${pid}: ${code}`)
  }
}

function isFree(host: string, port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const server = createServer()
  server.once('error', () => resolve(false))
  server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)))
  return promise
}
