// Strategies in front of a real database that crashes: what was acknowledged is in MariaDB, and the
// cache agrees with it afterwards.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'mariadb'
import root, { type Test } from 'tap'
import type { ClusterClient } from '../../lib/client/cluster.ts'
import { WriteBehind } from '../../lib/strategies/behind.ts'
import { type WritableSource, WriteThrough } from '../../lib/strategies/through.ts'
import { type Mariadb, skipWithoutMariadb, startMariadb } from '../support/mariadb.ts'
import { POOL_KINDS, startPool, untilTrue } from '../support/pool.ts'

interface User {
  version: number
}

const KEYS = Array.from({ length: 8 }, (_, i) => `user-${i}`)
const OPTIONS = { ttlS: 600, onError: () => {} }
const WRITES_MIN = 24

/** All saves, in the order in which the database executed them. */
const SCHEMA = [
  'CREATE TABLE users (id VARCHAR(20) PRIMARY KEY, version INT NOT NULL)',
  'CREATE TABLE saves (n INT AUTO_INCREMENT PRIMARY KEY, id VARCHAR(20), version INT NOT NULL)',
  'CREATE TRIGGER saved AFTER INSERT ON users FOR EACH ROW ' +
    'INSERT INTO saves (id, version) VALUES (NEW.id, NEW.version)',
  'CREATE TRIGGER changed AFTER UPDATE ON users FOR EACH ROW ' +
    'INSERT INTO saves (id, version) VALUES (NEW.id, NEW.version)',
]

function usersIn(database: Pool): WritableSource<User> {
  return {
    load: async id => {
      const [row] = await database.query('SELECT version FROM users WHERE id = ?', [id])
      return row && { version: row.version }
    },
    save: async (id, { version }) => {
      const write = 'INSERT INTO users VALUES (?, ?) ON DUPLICATE KEY UPDATE version = ?'
      await database.query(write, [id, version, version])
    },
    remove: async id => void (await database.query('DELETE FROM users WHERE id = ?', [id])),
  }
}

interface Started {
  mariadb: Mariadb
  database: Pool
  cache: ClusterClient
}

let mariadbOfAll: Promise<Mariadb> | undefined

/** A database of its own with the tables, and a pool of two daemons. */
async function start(t: Test, name: string): Promise<Started> {
  mariadbOfAll ??= startMariadb(root)
  const mariadb = await mariadbOfAll
  await mariadb.create(name)
  const database = mariadb.connect(t, name)
  for (const line of SCHEMA) await database.query(line)
  const { client } = await startPool(t, POOL_KINDS[0], 2)
  return { mariadb, database, cache: client }
}

/** Writes of one application to KEYS, one after the other, each with the next version. */
class Writer {
  readonly acknowledged = new Map<string, number>()
  readonly begun = new Map<string, number>()
  counts = { done: 0, failed: 0 }
  private readonly set: (key: string, user: User) => Promise<void>
  private isOver = false
  private readonly loops: Promise<void>[]

  constructor(set: (key: string, user: User) => Promise<void>) {
    this.set = set
    this.loops = KEYS.map(key => this.write(key))
  }

  /** Resolves after at least WRITES_MIN more writes. */
  async more(outcome: 'done' | 'failed'): Promise<void> {
    const before = this.counts[outcome]
    await untilTrue(`writes ${outcome}`, () => this.counts[outcome] >= before + WRITES_MIN)
  }

  async stop(): Promise<void> {
    this.isOver = true
    await Promise.all(this.loops)
  }

  private async write(key: string): Promise<void> {
    for (let version = 1; !this.isOver; version++) {
      this.begun.set(key, version)
      try {
        await this.set(key, { version })
        this.acknowledged.set(key, version)
        this.counts.done++
      } catch {
        this.counts.failed++
      }
      await sleep(1)
    }
  }
}

async function rowsOf(database: Pool, table: 'users' | 'saves'): Promise<[string, number][]> {
  const order = table === 'saves' ? 'n' : 'id'
  const rows = await database.query(`SELECT id, version FROM ${table} ORDER BY ${order}`)
  return rows.map(({ id, version }: { id: string; version: number }) => [id, version])
}

/** No save of a key was executed after one of a newer version. */
async function assertInOrder(t: Test, database: Pool): Promise<void> {
  const newest = new Map<string, number>()
  const late: string[] = []
  for (const [id, version] of await rowsOf(database, 'saves')) {
    if (version < (newest.get(id) ?? 0)) late.push(`${id} ${version} after ${newest.get(id)}`)
    newest.set(id, version)
  }
  t.strictSame(late, [], 'no old save came after a newer one')
}

root.test('write-through', { skip: skipWithoutMariadb() }, async t => {
  const { mariadb, database, cache } = await start(t, 'through')
  const users = new WriteThrough<User>(cache, usersIn(database), OPTIONS)
  const elsewhere = new WriteThrough<User>(cache, usersIn(mariadb.connect(t, 'through')), OPTIONS)
  const writer = new Writer((key, user) => users.set(key, user))
  const old: string[] = []
  let isOver = false
  const reader = (async () => {
    for (let i = 0; !isOver; i++) {
      const key = KEYS[i % KEYS.length]
      const least = writer.acknowledged.get(key) ?? 0
      const version = await elsewhere.get(key).then(
        user => user?.version ?? 0,
        () => least,
      )
      if (version < least) old.push(`${key} ${version} after ${least}`)
      await sleep(1)
    }
  })()
  await writer.more('done')
  await mariadb.kill()
  await writer.more('failed')
  await mariadb.restart()
  await writer.more('done')
  await writer.stop()
  isOver = true
  await reader

  t.strictSame(old, [], 'another process reads what was acknowledged, or newer')
  for (const [key, version] of await rowsOf(database, 'users')) {
    const [from = 0, to = 0] = [writer.acknowledged.get(key), writer.begun.get(key)]
    t.ok(from <= version && version <= to, `${key}: ${from} <= ${version} <= ${to}`)
    t.strictSame(await elsewhere.get(key), { version }, 'the cache has what the database has')
  }
  await assertInOrder(t, database)
})

root.test('write-behind', { skip: skipWithoutMariadb() }, async t => {
  const { mariadb, database, cache } = await start(t, 'behind')
  const users = new WriteBehind<User>(cache, usersIn(database), OPTIONS)
  const writer = new Writer((key, user) => users.set(key, user))
  await writer.more('done')
  await mariadb.kill()
  await writer.more('done')
  t.ok(users.pending > 0, 'writes wait for the database')
  const key = KEYS[0]
  const least = writer.acknowledged.get(key) ?? 0
  const { version = 0 } = (await users.get(key)) ?? {}
  t.ok(version >= least, 'and are read meanwhile')
  await mariadb.restart()
  await writer.stop()
  await users.close()

  t.equal(writer.counts.failed, 0, 'nobody had to wait for the database')
  t.strictSame(new Map(await rowsOf(database, 'users')), writer.acknowledged)
  for (const [key, version] of writer.acknowledged) {
    t.strictSame(await users.get(key), { version }, 'the cache has what the database has')
  }
  await assertInOrder(t, database)
})

root.test(
  'write-behind before a database that is frozen',
  { skip: skipWithoutMariadb() },
  async t => {
    const { mariadb, database, cache } = await start(t, 'frozen')
    t.teardown(() => mariadb.thaw())
    const options = { ...OPTIONS, saveMs: 100 }
    const users = new WriteBehind<User>(cache, usersIn(database), options)
    const writer = new Writer((key, user) => users.set(key, user))
    await writer.more('done')
    mariadb.freeze()
    // Saves are late by now, and more than once.
    const frozenMs = performance.now()
    await untilTrue('saves are late', () => performance.now() - frozenMs > 500)
    await writer.more('done')
    mariadb.thaw()
    await writer.stop()
    await users.close()
    t.strictSame(new Map(await rowsOf(database, 'users')), writer.acknowledged)
    for (const [key, version] of writer.acknowledged) {
      t.strictSame(await users.get(key), { version }, 'the cache has what the database has')
    }
    await assertInOrder(t, database)
  },
)
