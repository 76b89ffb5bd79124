/** A daemon with an admin listener, and requests to it. */
import { request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import { startDaemon } from './daemon.ts'
import { freePort, HOST, type Owner, type ServerProcess } from './process.ts'
import { comesTrue } from './server-peer.ts'

export interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  text: string
}

export interface Asked {
  method?: string
  headers?: Record<string, string>
  /** The authority that signed the listener's certificate: the request is over TLS. */
  ca?: string
}

/** Starts a daemon with --admin and waits until all its workers are ready. */
export async function startWithAdmin(
  owner: Owner,
  args: string[] = [],
  asked: Asked = {},
): Promise<{ daemon: ServerProcess; admin: number }> {
  const admin = await freePort()
  const daemon = await startDaemon(owner, ['--admin', `${admin}`, ...args])
  await comesTrue(async () => (await fetchFrom(admin, '/readyz', asked)).status === 200)
  return { daemon, admin }
}

export function fetchFrom(port: number, path: string, asked: Asked = {}): Promise<Answer> {
  const { ca, method = 'GET', headers = {} } = asked
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const where = { host: HOST, port, path, method, headers, agent: false as const, ca }
  const sent = (ca === undefined ? requestPlain : requestTls)(where, async response => {
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString()
    resolve({ status: response.statusCode ?? 0, headers: response.headers, text })
  })
  sent.on('error', reject).end()
  return promise
}

export interface Metric {
  type: string
  /** Values by their labels, `{a="b"}`; '' without labels. */
  samples: Map<string, number>
}

/** Prometheus text -> metrics by name. */
export function readMetrics(text: string): Map<string, Metric> {
  const metrics = new Map<string, Metric>()
  for (const line of text.split('\n')) {
    const [, name, type] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? []
    if (name !== undefined && type !== undefined) metrics.set(name, { type, samples: new Map() })
    const [, owner = '', labels = '', value] = /^(\w+)(\{.*\})? (\S+)$/.exec(line) ?? []
    metrics.get(owner)?.samples.set(labels, Number(value))
  }
  return metrics
}

/** The metrics of a scrape. */
export async function scrape(port: number): Promise<Map<string, Metric>> {
  return readMetrics((await fetchFrom(port, '/metrics')).text)
}
