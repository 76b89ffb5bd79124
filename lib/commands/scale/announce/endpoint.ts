// Tells each node its pool by `config set cluster`, as clients of ElastiCache's configuration
// endpoint ask for it. The nodes run with `-o config_set`. One that leaves is told too: clients
// that know only it have to hear of the others.

import { parseClusterConfig } from '../../../client/discovery/elasticache.ts'
import { parseServer } from '../../../client/members/servers.ts'
import { addressText } from '../../../client/nodes/connection.ts'
import { type TalkOptions, talk } from '../../../client/nodes/talk.ts'
import { CacheError } from '../../../doors/errors.ts'
import type { Announcer } from './announcer.ts'

const SILENCE_MS = 5000
const CRLF = '\r\n'

type Access = Pick<TalkOptions, 'tls' | 'auth'>

export class Endpoint implements Announcer {
  private readonly access: Access

  constructor(access: Access) {
    this.access = access
  }

  /** By the first node that answers with the newest version. */
  async seen(have: readonly string[], signal: AbortSignal): Promise<string[] | null> {
    const configs = await Promise.all(have.map(name => this.configOf(name, signal)))
    const newest = configs.reduce((a, b) => ((b?.version ?? -1) > (a?.version ?? -1) ? b : a), null)
    return newest === null ? null : newest.servers.map(addressText)
  }

  async announce(
    nodes: readonly string[],
    leaving: readonly string[],
    signal: AbortSignal,
  ): Promise<boolean> {
    const told = [...nodes, ...leaving]
    const configs = await Promise.all(told.map(name => this.configOf(name, signal)))
    const version = 1 + Math.max(0, ...configs.map(config => config?.version ?? 0))
    const words = nodes.map(name => {
      const { host, port } = parseServer(name)
      return `${host}||${port}`
    })
    const payload = `${version}\n${words.join(' ')}\n`
    const heard = await Promise.all(told.map(name => this.set(name, payload, signal)))
    const stay = heard.slice(0, nodes.length)
    if (nodes.length > 0 && !stay.includes(true)) throw new Error('no node could be told its pool')
    // One that leaves may be gone already.
    return stay.every(isTold => isTold)
  }

  /** Whether it was reached. Rejects where it refuses. */
  private async set(name: string, payload: string, signal: AbortSignal): Promise<boolean> {
    const bytes = Buffer.byteLength(payload)
    const request = `config set cluster 0 ${bytes}${CRLF}${payload}${CRLF}`
    try {
      for await (const line of this.ask(name, request, signal)) {
        if (line === 'STORED') return true
        throw new Error(`${name}: ${line}`)
      }
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof CacheError)) throw error
    }
    return false
  }

  /** Null: it does not answer, or knows of no cluster. */
  private async configOf(name: string, signal: AbortSignal) {
    const lines: string[] = []
    try {
      for await (const line of this.ask(name, `config get cluster${CRLF}`, signal)) {
        if (line === 'END' || /^(ERROR|CLIENT_ERROR|SERVER_ERROR)\b/.test(line)) break
        lines.push(line)
      }
      return parseClusterConfig(lines.slice(1))
    } catch {
      signal.throwIfAborted()
      return null
    }
  }

  private ask(name: string, request: string, signal: AbortSignal): AsyncGenerator<string> {
    return talk(parseServer(name), request, { ...this.access, silenceMs: SILENCE_MS, signal })
  }
}
