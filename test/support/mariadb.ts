/**
 * Debian's MariaDB on a free loopback port, with a data folder of its own that outlives a kill. It
 * can be killed, restarted, and frozen: what a database does to an application on a bad day.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createPool, type Pool } from 'mariadb'
import { findProgram, skipWithout } from './oracle.ts'
import { accepts, freePort, HOST, type Owner } from './process.ts'

const READY_MS_MAX = 60_000
const AWAY_MS = 250
const CONNECTIONS = 4
/** Small files, and no fsync: what was committed outlives a killed process all the same. */
const SMALL = [
  '--innodb-buffer-pool-size=8M',
  '--innodb-log-file-size=4M',
  '--innodb-data-file-path=ibdata1:4M:autoextend',
  '--innodb-flush-method=nosync',
]

export interface Mariadb {
  readonly port: number
  /** A new database in it. */
  create(database: string): Promise<void>
  /**
   * Connections of an application to a database. While the server is away a query rejects within
   * AWAY_MS; while it is frozen a query that was sent waits.
   */
  connect(owner: Owner, database: string): Pool
  /** Kills it, as a crash would. What was committed is kept. */
  kill(): Promise<void>
  /** Starts it again, on the same port with the same data. */
  restart(): Promise<void>
  /** Stops it without a word: connections stay open, nothing is answered. */
  freeze(): void
  thaw(): void
}

/** For a test's `skip` option. */
export function skipWithoutMariadb(): string | false {
  return skipWithout('mariadbd', 'mariadb-install-db')
}

export async function startMariadb(owner: Owner): Promise<Mariadb> {
  const folder = mkdtempSync(join(tmpdir(), 'mariadb-'))
  owner.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const user = process.getuid?.() === 0 ? ['--user=root'] : []
  const data = ['--no-defaults', `--datadir=${join(folder, 'data')}`, ...user, ...SMALL]
  const logins = ['--auth-root-authentication-method=normal', '--skip-test-db']
  execFileSync(findProgram('mariadb-install-db') ?? '', [...data, ...logins], { stdio: 'pipe' })
  const port = await freePort()
  const place = [`--socket=${join(folder, 'socket')}`, `--port=${port}`, `--bind-address=${HOST}`]
  let child: ChildProcess | undefined
  const signal = (name: NodeJS.Signals) => {
    if (child !== undefined && isRunning(child)) child.kill(name)
  }
  const kill = async () => {
    if (child === undefined || !isRunning(child)) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  owner.teardown(kill)
  const restart = async () => {
    child = spawn(findProgram('mariadbd') ?? '', [...data, ...place], { stdio: 'ignore' })
    await becomesReady(child, port)
  }
  await restart()
  return {
    port,
    kill,
    restart,
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    create: database => createIn(port, database),
    connect: (owner, database) => connectTo(owner, port, database),
  }
}

function connectTo(owner: Owner, port: number, database: string): Pool {
  const pool = createPool({
    ...loginAt(port),
    database,
    connectionLimit: CONNECTIONS,
    acquireTimeout: AWAY_MS,
    connectTimeout: AWAY_MS,
    noControlAfterUse: true,
  })
  owner.teardown(() => pool.end().catch(() => {}))
  return pool
}

async function createIn(port: number, database: string): Promise<void> {
  const pool = createPool({ ...loginAt(port), connectionLimit: 1 })
  try {
    await pool.query(`CREATE DATABASE ${database}`)
  } finally {
    await pool.end()
  }
}

function loginAt(port: number) {
  return { host: HOST, port, user: 'root' }
}

async function becomesReady(child: ChildProcess, port: number): Promise<void> {
  const deadline = Date.now() + READY_MS_MAX
  while (Date.now() < deadline && isRunning(child)) {
    if (await accepts(port)) return
    await sleep(20)
  }
  throw new Error(`MariaDB is not ready (exit code ${child.exitCode})`)
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null
}
