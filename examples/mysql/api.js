// The application: an Express API over the database. Who is logged in, and the best players of a
// country. With servers of a pool its sessions and leaderboards are there, without in the database.
//
//   node api.js DATABASE_PORT [HOST:PORT,...]      sends its own port, and the count of its queries

import express from 'express'
import session from 'express-session'
import { ClusterClient } from 'memslab/client'
import { CacheAside, createSessionStore } from 'memslab/strategies'
import { openDatabase } from './database.js'

const TOP_S = 10
const SESSION_S = 3600
const LEADERS = `SELECT name, SUM(points) AS points FROM players JOIN games ON player = id
  WHERE country = ? GROUP BY id, name ORDER BY points DESC, name LIMIT 20`

const [port, servers = ''] = process.argv.slice(2)
const db = openDatabase(Number(port))
// Each item is on two servers: one may be killed, and nobody is logged out.
const pool =
  servers === ''
    ? undefined
    : new ClusterClient(servers.split(','), { replicas: 2, timeoutMs: 500 })

/** Sessions in a table, as without a cache. */
class TableStore extends session.Store {
  get(id, done) {
    db.query('SELECT data FROM sessions WHERE id = ? AND expires > ?', [id, Date.now()]).then(
      ([row]) => done(null, row === undefined ? null : JSON.parse(row.data)),
      done,
    )
  }

  set(id, data, done) {
    const row = [id, JSON.stringify(data), Date.now() + SESSION_S * 1000]
    db.query('REPLACE INTO sessions VALUES (?, ?, ?)', row).then(() => done?.(), done)
  }

  destroy(id, done) {
    db.query('DELETE FROM sessions WHERE id = ?', [id]).then(() => done?.(), done)
  }
}

const cached = pool && new CacheAside(pool, { ttlS: TOP_S, staleS: TOP_S })
const load = country => db.query(LEADERS, [country])
const leadersOf = country =>
  cached === undefined ? load(country) : cached.getOrSet(`top:${country}`, () => load(country))

const app = express()
app.get('/top/:country', async (request, response) => {
  response.json(await leadersOf(Number(request.params.country)))
})
app.use(
  session({
    secret: 'of the example',
    resave: false,
    saveUninitialized: false,
    store: pool === undefined ? new TableStore() : createSessionStore(session.Store, pool),
  }),
)
app.post('/login/:player', (request, response) => {
  request.session.player = Number(request.params.player)
  response.sendStatus(204)
})
app.get('/me', (request, response) => {
  const { player } = request.session
  if (player === undefined) response.sendStatus(401)
  else response.json({ player })
})
app.post('/points/:points', async (request, response) => {
  const { player } = request.session
  if (player === undefined) return response.sendStatus(401)
  await db.query('INSERT INTO games VALUES (?, ?)', [player, Number(request.params.points)])
  response.sendStatus(204)
})

const server = app.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
process.on('message', () => process.send({ queries: db.queries }))
process.on('disconnect', () => process.exit())
