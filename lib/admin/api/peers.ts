// The connections of the daemon, page by page.

import type { ServerFacts } from '../../protocol/host.ts'
import { CONNECTION_ROWS_MAX } from '../limits.ts'
import type { ConnectionPage } from '../shapes.ts'

/** Those with numbers above `after`, as many as one page has. Listeners are no connections. */
export function listConnections(facts: ServerFacts, after: number): ConnectionPage {
  const page: ConnectionPage = { total: facts.connections().current, rows: [], next: null }
  for (const { id, address, listenAddress, state, idleS } of facts.eachConnection()) {
    if (listenAddress === '' || id <= after) continue
    if (page.rows.length === CONNECTION_ROWS_MAX) {
      page.next = page.rows.at(-1)?.id ?? null
      break
    }
    page.rows.push({ id, address, listener: listenAddress, state, idleS })
  }
  return page
}
