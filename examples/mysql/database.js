// Debian's MariaDB (`apt install mariadb-server`) with data of its own, on a free port, and a game
// in it: players, and the points they made. It is gone when the program ends.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createPool } from 'mariadb'

export const PLAYERS = 2000
export const COUNTRIES = 20
const GAMES = 40_000
const ROWS_AT_ONCE = 2000
const START_TRIES = 600

const TABLES = [
  'CREATE TABLE players (id INT PRIMARY KEY, name VARCHAR(40), country INT, KEY (country))',
  'CREATE TABLE games (player INT, points INT, KEY (player))',
  'CREATE TABLE sessions (id VARCHAR(64) PRIMARY KEY, data TEXT, expires BIGINT)',
]

/** A port of loopback that nobody listens on. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/** Starts it and fills it. Returns the port, and what ends it. */
export async function startDatabase() {
  const folder = mkdtempSync(join(tmpdir(), 'example-mysql-'))
  const user = process.getuid() === 0 ? ['--user=root'] : []
  const data = ['--no-defaults', `--datadir=${join(folder, 'data')}`, ...user]
  execFileSync('mariadb-install-db', [...data, '--auth-root-authentication-method=normal'], {
    stdio: 'ignore',
  })
  const port = await freePort()
  const place = [`--socket=${join(folder, 'socket')}`, `--port=${port}`, '--bind-address=127.0.0.1']
  const path = `${process.env.PATH}:/usr/sbin`
  const env = { ...process.env, PATH: path }
  const server = spawn('mariadbd', [...data, ...place], { stdio: 'ignore', env })
  process.on('exit', () => {
    server.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })
  await fill(port)
  return { port, stop: () => server.kill('SIGKILL') }
}

/** Connections of an application. `queries` counts what it asks. */
export function openDatabase(port, database = 'game') {
  const login = { host: '127.0.0.1', port, user: 'root', database }
  const pool = createPool({ ...login, connectionLimit: 10, acquireTimeout: 20_000 })
  const counted = {
    queries: 0,
    query(sql, values) {
      counted.queries++
      return pool.query(sql, values)
    },
    close: () => pool.end(),
  }
  return counted
}

async function fill(port) {
  const root = openDatabase(port, null)
  for (let tries = 1; ; tries++) {
    try {
      await root.query('CREATE DATABASE game')
      break
    } catch (error) {
      if (tries === START_TRIES) throw error
      await sleep(100)
    }
  }
  await root.close()
  const db = openDatabase(port)
  for (const sql of TABLES) await db.query(sql)
  const players = Array.from(
    { length: PLAYERS },
    (_, id) => `(${id},'player ${id}',${id % COUNTRIES})`,
  )
  await db.query(`INSERT INTO players VALUES ${players.join()}`)
  for (let at = 0; at < GAMES; at += ROWS_AT_ONCE) {
    const rows = Array.from({ length: ROWS_AT_ONCE }, (_, i) => {
      return `(${(at + i) % PLAYERS},${(i * 7919) % 1000})`
    })
    await db.query(`INSERT INTO games VALUES ${rows.join()}`)
  }
  await db.close()
}
