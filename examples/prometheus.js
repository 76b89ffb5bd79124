// What a pool and its strategies do, for Prometheus: the channels feed the metrics of prom-client.

import { subscribe } from 'node:diagnostics_channel'
import { createServer } from 'node:http'
import { LocalCache, serve } from 'memslab'
import { ClusterClient } from 'memslab/client'
import { CacheAside } from 'memslab/strategies'
import { Counter, Gauge, Histogram, register } from 'prom-client'

const calls = new Counter({
  name: 'cache_calls_total',
  help: 'Calls of the pool by outcome: hit, miss, done, refused, error.',
  labelNames: ['call', 'outcome'],
})
const seconds = new Histogram({
  name: 'cache_call_seconds',
  help: 'From a call to its answer.',
  labelNames: ['call'],
  buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
})
const up = new Gauge({ name: 'cache_server_up', help: '0: ejected.', labelNames: ['server'] })
const ejections = new Counter({
  name: 'cache_ejections_total',
  help: 'How often a server was ejected.',
  labelNames: ['server'],
})
const reads = new Counter({
  name: 'cache_reads_total',
  help: 'Values that strategies were asked for: hit, stale, miss.',
  labelNames: ['outcome'],
})

subscribe('memslab:pool:call', ({ call, outcome, ms }) => {
  calls.inc({ call, outcome })
  seconds.observe({ call }, ms / 1000)
})
subscribe('memslab:pool:server', ({ server, isUp }) => {
  up.set({ server }, isUp ? 1 : 0)
  if (!isUp) ejections.inc({ server })
})
subscribe('memslab:strategy:read', ({ outcome }) => reads.inc({ outcome }))

const cache = LocalCache.create({ memoryBytes: 64 * 2 ** 20 })
const daemon = await serve(cache, { port: Number(process.env.PORT ?? 11211) })
const [{ address, port }] = daemon.addresses
const pool = new ClusterClient([`${address}:${port}`], { timeoutMs: 5000 })
const users = new CacheAside(pool, { ttlS: 60 })
for (let i = 0; i < 3; i++) await users.getOrSet('user:7', () => ({ name: 'Ada' }))
await pool.getMany(['user:7', 'user:8'])

// What Prometheus would fetch.
const metrics = createServer(async (_, response) => response.end(await register.metrics()))
await new Promise(resolve => metrics.listen(0, '127.0.0.1', resolve))
const text = await (await fetch(`http://127.0.0.1:${metrics.address().port}`)).text()
console.log(/^cache_reads_total.*$/gm.exec(text)[0])
console.log(/^cache_calls_total{call="getMany".*$/m.exec(text)[0])
metrics.close()

await users.settled()
pool.close()
await daemon.close()
cache.close()
