// The tables of metrics as Prometheus text and as OpenMetrics, by prom-client.
//
// Each metric reads the same reports at each scrape. In OpenMetrics a counter has to end in
// `_total`. memcached_exporter has counters that do not, and their names must not change: there
// they are gauges.

import { Counter, Gauge, Registry, type RegistryContentType } from 'prom-client'
import type { Host } from '../../protocol/host.ts'
import { exporterMetrics, slabMetrics } from './exporter.ts'
import { Facts, type MainFacts, type MetricRow } from './facts.ts'
import { latencyMetric } from './latency-metric.ts'
import { ownMetrics } from './own.ts'

export type Format = 'text' | 'openmetrics'

/** One scrape: the media type and the text. */
export interface Scrape {
  contentType: string
  text: string
}

type AnyRegistry = Registry<RegistryContentType>

const CONTENT_TYPES = {
  text: Registry.PROMETHEUS_CONTENT_TYPE,
  openmetrics: Registry.OPENMETRICS_CONTENT_TYPE,
}
const TOTAL = '_total'

export class Metrics {
  private readonly host: Host
  private readonly main: MainFacts
  private readonly rows: readonly MetricRow[]
  private readonly registries = new Map<Format, AnyRegistry>()
  private facts: Facts

  /** `withSlabs`: all metrics by slab class too. */
  constructor(host: Host, main: MainFacts, withSlabs: boolean) {
    this.host = host
    this.main = main
    this.facts = new Facts(host, main)
    this.rows = [...exporterMetrics(), ...(withSlabs ? slabMetrics() : []), ...ownMetrics()]
  }

  async scrape(format: Format): Promise<Scrape> {
    const registry = this.registryOf(format)
    this.facts = new Facts(this.host, this.main)
    return { contentType: registry.contentType, text: await registry.metrics() }
  }

  private registryOf(format: Format): AnyRegistry {
    const known = this.registries.get(format)
    if (known !== undefined) return known
    const registry: AnyRegistry = new Registry<RegistryContentType>()
    registry.setContentType(CONTENT_TYPES[format])
    for (const row of this.rows) this.register(row, registry, format)
    registry.registerMetric(latencyMetric(this.host))
    this.registries.set(format, registry)
    return registry
  }

  private register(row: MetricRow, registry: AnyRegistry, format: Format): void {
    const { name, help, labels = [], type } = row
    const isCounter = type === 'counter' && (format === 'text' || name.endsWith(TOTAL))
    const collect = (): void => {
      metric.reset()
      const read = row.read(this.facts)
      if (read === null) return metric.remove()
      const samples = typeof read === 'number' ? [{ value: read }] : read
      for (const { labels = {}, value } of samples) metric.inc(labels, value)
    }
    const configuration = { name, help, labelNames: [...labels], registers: [registry], collect }
    const metric: Counter | Gauge = isCounter
      ? new Counter(configuration)
      : new Gauge(configuration)
  }
}

/** The format that an Accept header asks for. */
export function formatOf(accept: string | undefined): Format {
  return accept?.includes('application/openmetrics-text') ? 'openmetrics' : 'text'
}
