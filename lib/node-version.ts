// Node's version for the daemon and the cache in process: see node-check.ts.

import { checkNode } from './node-check.ts'

// The first versions that can transfer sockets to worker threads.
checkNode('Node.js 26.6 or later, or 24.21 or later of the 24 line', (major, minor) => {
  if (major === 24) return minor >= 21
  return major > 26 || (major === 26 && minor >= 6)
})
