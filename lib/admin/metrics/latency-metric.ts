// The times of requests as a histogram of Prometheus. prom-client's own histogram counts samples
// itself; here the threads have counted them, so this one only prints.

import type { Metric } from 'prom-client'
import { readLatencies, type Times } from '../../observe/latency.ts'
import type { Host } from '../../protocol/host.ts'
import type { Sample } from './facts.ts'

const NAME = 'memslab_request_duration_seconds'
const HELP = 'Time of sampled requests from read to reply, by command.'
/** Upper ends of the buckets, microseconds: whole powers of two, where counts are exact. */
const ENDS_US = [4, 6, 8, 10, 12, 14, 16, 18, 20].map(power => 2 ** power)

interface Printed extends Sample {
  metricName: string
}

export function latencyMetric({ latency }: Host): Metric {
  const get = async () => ({
    name: NAME,
    help: HELP,
    type: 'histogram',
    aggregator: 'sum',
    values: readLatencies(latency.handle).filter(isSampled).flatMap(samplesOf),
  })
  // prom-client prints whatever has these members; its type asks for a class of its own.
  return { name: NAME, help: HELP, type: 'histogram', get } as unknown as Metric
}

function isSampled({ count }: Times): boolean {
  return count > 0
}

function samplesOf(times: Times): Printed[] {
  const { command, count, sumUs } = times
  const bucket = (le: string, value: number): Printed => ({
    metricName: `${NAME}_bucket`,
    labels: { le, command },
    value,
  })
  return [
    ...ENDS_US.map(us => bucket(String(us / 1e6), times.countUpTo(us))),
    bucket('+Inf', count),
    { metricName: `${NAME}_sum`, labels: { command }, value: sumUs / 1e6 },
    { metricName: `${NAME}_count`, labels: { command }, value: count },
  ]
}
