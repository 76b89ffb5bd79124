// The scaler's own metrics, by HTTP: /metrics as Prometheus text, /healthz.

import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Counter, Gauge, Registry } from 'prom-client'
import { parseServer } from '../../client/members/servers.ts'
import { addressText } from '../../client/nodes/connection.ts'
import type { Tally } from './scaler.ts'

const PREFIX = 'memslab_scale_'

type Samples = readonly (readonly [labels: Record<string, string>, value: number])[]

/** Of one series, or of several by one label. */
interface Row {
  name: string
  help: string
  label?: string
  read(tally: Tally): number | Samples | null
}

const GAUGES: readonly Row[] = [
  {
    name: 'acting',
    help: 'Whether this scaler acts; 0: it stands by.',
    read: ({ isActing }) => Number(isActing),
  },
  { name: 'nodes', help: 'Nodes of the pool.', read: ({ decision }) => decision?.from ?? null },
  {
    name: 'nodes_wanted',
    help: 'Nodes after the last decision.',
    read: ({ decision }) => decision?.to ?? null,
  },
  {
    name: 'nodes_least',
    help: 'Fewest nodes, by the schedule.',
    read: ({ decision }) => decision?.bounds.least ?? null,
  },
  {
    name: 'nodes_most',
    help: 'Most nodes, by the schedule.',
    read: ({ decision }) => decision?.bounds.most ?? null,
  },
  {
    name: 'nodes_unread',
    help: 'Nodes that did not answer at the last look.',
    read: ({ looks, decision }) =>
      decision === null ? null : looks.filter(({ figures }) => figures === null).length,
  },
  {
    name: 'policy_value',
    help: 'Figure of a policy, mean of a node.',
    label: 'policy',
    read: ({ decision }) =>
      (decision?.wants ?? []).flatMap(({ policy, value }) =>
        value === null ? [] : [[{ policy }, value] as const],
      ),
  },
  {
    name: 'policy_target',
    help: 'Its target.',
    label: 'policy',
    read: ({ decision }) =>
      (decision?.wants ?? []).map(({ policy, target }) => [{ policy }, target] as const),
  },
  {
    name: 'policy_nodes',
    help: 'How many nodes it wants.',
    label: 'policy',
    read: ({ decision }) =>
      (decision?.wants ?? []).flatMap(({ policy, nodes }) =>
        nodes === null ? [] : [[{ policy }, nodes] as const],
      ),
  },
  {
    name: 'last_look_timestamp_seconds',
    help: 'When it looked last, Unix time.',
    read: ({ lookedAtMs }) => lookedAtMs / 1000,
  },
]

const COUNTERS: readonly Row[] = [
  {
    name: 'changes_total',
    help: 'Changes of the pool.',
    label: 'kind',
    read: ({ changes }) => Object.entries(changes).map(([kind, count]) => [{ kind }, count]),
  },
  {
    name: 'failures_total',
    help: 'Steps that failed: of the driver, of telling clients, of moving items, of looking.',
    label: 'step',
    read: ({ failures }) => Object.entries(failures).map(([step, count]) => [{ step }, count]),
  },
  {
    name: 'nodes_restarted_total',
    help: 'Nodes that had died and were started again.',
    read: ({ restarted }) => restarted,
  },
  {
    name: 'items_moved_total',
    help: 'Items moved between nodes.',
    read: ({ itemsMoved }) => itemsMoved,
  },
]

/** A registry whose metrics read the tally at each scrape. */
export function metricsOf(tally: Tally): Registry {
  const registry = new Registry()
  for (const row of GAUGES) add(row, 'gauge', tally, registry)
  for (const row of COUNTERS) add(row, 'counter', tally, registry)
  return registry
}

function add(
  { name, help, label, read }: Row,
  type: 'gauge' | 'counter',
  tally: Tally,
  registry: Registry,
): void {
  const collect = () => {
    metric.reset()
    const found = read(tally)
    if (found === null) return metric.remove()
    for (const [labels, value] of typeof found === 'number' ? [[{}, found] as const] : found) {
      metric.inc(labels, value)
    }
  }
  const labelNames = label === undefined ? [] : [label]
  const options = { name: PREFIX + name, help, labelNames, registers: [registry], collect }
  const metric: Gauge | Counter = type === 'gauge' ? new Gauge(options) : new Counter(options)
}

export interface Listening {
  /** `host:port` where it listens. */
  place: string
  close(): Promise<void>
}

/** Rejects with an Error of one line. `isAlive`: what /healthz says. */
export async function listenMetrics(
  address: string,
  tally: Tally,
  isAlive: () => boolean,
): Promise<Listening> {
  const { host, port = 0 } = parseServer(address)
  const registry = metricsOf(tally)
  const server = createServer((request, response) => {
    const [path] = (request.url ?? '').split('?')
    const answer = (status: number, text: string, type = 'text/plain; charset=utf-8') => {
      response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(text)
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') answer(405, 'only GET\n')
    else if (path === '/healthz') isAlive() ? answer(200, 'ok\n') : answer(503, 'it stands still\n')
    else if (path !== '/metrics') answer(404, 'there are /metrics and /healthz\n')
    else {
      void registry.metrics().then(
        text => answer(200, text, registry.contentType),
        () => answer(500, 'no metrics\n'),
      )
    }
  })
  await listen(server, host, port).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`it cannot listen on ${address}: ${error.code}`)
  })
  const bound = server.address() as AddressInfo
  return {
    place: addressText({ host: bound.address, port: bound.port }),
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  await once(server.listen(port, host), 'listening')
}
