// Names of nodes: `host:port`, as clients put them on the hash ring.

import { parseServer } from '../../../client/members/servers.ts'
import { addressText } from '../../../client/nodes/connection.ts'
import { checkNode } from '../../../client/ring/ring.ts'
import { NODES_MAX } from '../limits.ts'

/** The name of `host:port[:weight]`; null: that is no server. */
export function nameOf(text: string): string | null {
  try {
    const node = parseServer(text)
    checkNode(node)
    return addressText(node)
  } catch {
    return null
  }
}

/** The names, each once. Throws an Error for what is no server. */
export function checkedNames(texts: readonly string[]): string[] {
  const names = texts.map(text => {
    const name = nameOf(text)
    if (name === null) throw new Error(`not a server: ${JSON.stringify(text.slice(0, 100))}`)
    return name
  })
  const known = [...new Set(names)]
  if (known.length > NODES_MAX) throw new Error(`more than ${NODES_MAX} nodes`)
  return known
}
