// What a pool does, for OpenTelemetry: the channel of calls feeds a histogram, and a meter that
// counts on its own is read whenever metrics are collected.

import { subscribe } from 'node:diagnostics_channel'
import { metrics } from '@opentelemetry/api'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { LocalCache, serve } from 'memslab'
import { CacheMeter, ClusterClient } from 'memslab/client'

// An application has an exporter here that sends them somewhere.
const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 60_000 })
metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }))

const meter = metrics.getMeter('memslab')
const duration = meter.createHistogram('cache.call.duration', { unit: 'ms' })
subscribe('memslab:pool:call', ({ call, outcome, ms }) => duration.record(ms, { call, outcome }))

const counts = new CacheMeter()
meter.createObservableCounter('cache.keys').addCallback(result => {
  const { keys, hits } = counts.read()
  result.observe(hits, { found: true })
  result.observe(keys - hits, { found: false })
})

const cache = LocalCache.create({ memoryBytes: 64 * 2 ** 20 })
const daemon = await serve(cache, { port: Number(process.env.PORT ?? 11211) })
const [{ address, port }] = daemon.addresses
const pool = new ClusterClient([`${address}:${port}`], { timeoutMs: 5000 })
await pool.set('a', 1)
await pool.getMany(['a', 'b', 'c'])

await reader.forceFlush()
for (const { descriptor, dataPoints } of exporter.getMetrics()[0].scopeMetrics[0].metrics) {
  const points = dataPoints.map(({ attributes, value }) => {
    return `${Object.values(attributes).join(' ')} ${value.count ?? value}`
  })
  console.log(`${descriptor.name}: ${points.join(', ')}`)
}

counts.close()
await reader.shutdown()
pool.close()
await daemon.close()
cache.close()
