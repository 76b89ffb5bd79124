// A cache stampede: 500 clients of an HTTP API ask for one page that is not cached. Two instances
// of the API share the pool; the database is asked once.

import { get } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { type Mode, startApi } from '../../scripts/bench/http/api.ts'
import { createDatabase } from '../../scripts/bench/http/database.ts'
import { startDaemon } from '../support/daemon.ts'
import { skipWithout, startOracle } from '../support/oracle.ts'
import type { Owner, ServerProcess } from '../support/process.ts'

const CLIENTS = 500
const ORDERS = 20_000

interface Case {
  name: string
  mode: Mode
  instances: number
  queries: number
  skip?: string | false
  start?: (owner: Owner) => Promise<ServerProcess>
}

const CASES: Case[] = [
  { name: 'without a cache', mode: 'none', instances: 1, queries: CLIENTS },
  { name: 'in process', mode: 'local', instances: 1, queries: 1 },
  { name: 'a pool of memslab', mode: 'pool', instances: 2, queries: 1, start: startDaemon },
  {
    name: 'a pool of memcached',
    mode: 'pool',
    instances: 2,
    queries: 1,
    start: startOracle,
    skip: skipWithout('memcached'),
  },
]

const path = join(t.testdir(), 'shop.sqlite')
createDatabase(path, ORDERS)

for (const { name, mode, instances, queries, start, skip = false } of CASES) {
  t.test(`${queries} queries for ${CLIENTS} clients, ${name}`, { skip }, async t => {
    const servers = start === undefined ? [] : [`127.0.0.1:${(await start(t)).port}`]
    const starts = Array.from({ length: instances }, () => startApi(mode, path, servers))
    const apis = await Promise.all(starts)
    t.teardown(() => {
      for (const api of apis) api.close()
    })
    const asked = Array.from({ length: CLIENTS }, (_, i) => ask(apis[i % instances].port))
    const answers = new Set(await Promise.all(asked))
    t.equal(answers.size, 1, 'all have the same answer')
    t.match(JSON.parse([...answers][0])[0], { product: /^product/ })
    t.equal(
      apis.reduce((sum, api) => sum + api.queries(), 0),
      queries,
    )
  })
}

function ask(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get({ port, host: '127.0.0.1', path: '/top/7', agent: false }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', part => {
        text += part
      })
      response.on('end', () => resolve(text)).on('error', reject)
    })
    request.on('error', reject)
  })
}
