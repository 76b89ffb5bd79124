// The HTTP example as a process: `child.ts MODE DATABASE [SERVER...]`. Sends its port to its
// parent, then the number of queries so far in reply to each message.

import { type Mode, startApi } from './api.ts'

const [mode, databasePath, ...servers] = process.argv.slice(2)
const api = await startApi(mode as Mode, databasePath, servers)
process.on('message', () => process.send?.(api.queries()))
process.on('disconnect', () => process.exit(0))
process.send?.(api.port)
