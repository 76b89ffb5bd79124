// What a pool does for an application and its database, in one table:
//
//   node run.js [--seconds 10] [--connections 50]
//
// It starts a MariaDB, three memslabs and the API of api.js, and loads the API with autocannon three
// times: without a pool, with it, and with it while one of the three is killed in the middle. The
// load is 64 % of leaderboards, 34 % of sessions, 2 % of new points.

import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import autocannon from 'autocannon'
import { COUNTRIES, freePort, PLAYERS, startDatabase } from './database.js'

const MEMSLAB = fileURLToPath(new URL('main.js', import.meta.resolve('memslab')))
const API = fileURLToPath(new URL('api.js', import.meta.url))
const LOGINS = 100
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    connections: { type: 'string', default: '50' },
  },
})
const seconds = Number(values.seconds)

/** A memslab of this machine. */
async function startNode() {
  const port = await freePort()
  const words = [MEMSLAB, '-p', String(port), '-l', '127.0.0.1', '-t', '1']
  const daemon = spawn(process.execPath, words, { stdio: 'ignore' })
  process.on('exit', () => daemon.kill('SIGKILL'))
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (isOpen) return { daemon, name: `127.0.0.1:${port}` }
    await sleep(50)
  }
}

/** The cookies of some players who logged in. */
async function logIn(url) {
  const answers = Array.from({ length: LOGINS }, (_, i) =>
    fetch(`${url}/login/${i % PLAYERS}`, { method: 'POST' }),
  )
  return (await Promise.all(answers)).map(answer => answer.headers.get('set-cookie').split(';')[0])
}

function nextRequest(cookies) {
  const at = Math.random()
  const cookie = cookies[Math.floor(Math.random() * cookies.length)]
  if (at < 0.64) return { method: 'GET', path: `/top/${Math.floor(Math.random() * COUNTRIES)}` }
  if (at < 0.98) return { method: 'GET', path: '/me', headers: { cookie } }
  return { method: 'POST', path: '/points/10', headers: { cookie } }
}

async function measure(name, database, nodes, victim) {
  const servers = nodes.map(node => node.name).join()
  const api = fork(API, [String(database.port), ...(servers === '' ? [] : [servers])])
  const [{ port }] = await once(api, 'message')
  const url = `http://127.0.0.1:${port}`
  const cookies = await logIn(url)
  const timer = setTimeout(() => victim?.daemon.kill('SIGKILL'), (seconds * 1000) / 2)
  const load = await autocannon({
    url,
    connections: Number(values.connections),
    duration: seconds,
    timeout: 30,
    requests: [{ setupRequest: request => ({ ...request, ...nextRequest(cookies) }) }],
  })
  clearTimeout(timer)
  api.send('queries')
  const [{ queries }] = await once(api, 'message')
  api.disconnect()
  const { total, average } = load.requests
  return {
    '': name,
    'requests/s': Math.round(average),
    'p99 ms': load.latency.p99,
    queries,
    'queries per request': Number((queries / total).toFixed(3)),
    'failed or logged out': load.errors + load.non2xx,
  }
}

const database = await startDatabase()
const nodes = await Promise.all([startNode(), startNode(), startNode()])
const rows = [
  await measure('no pool', database, []),
  await measure('pool of three', database, nodes),
  await measure('one of three is killed', database, nodes, nodes[0]),
]
console.table(rows)
process.exit()
