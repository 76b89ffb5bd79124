// Node's version for the pool client, the strategies and the adapters: every maintained one. See
// node-check.ts.

import { checkNode } from './node-check.ts'

checkNode('Node.js 22 or later', major => major >= 22)
