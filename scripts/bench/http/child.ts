// The HTTP example as a process of its own: `child.ts MODE DATABASE [SERVER...]`. Tells its port,
// and how many queries there were whenever it is sent anything.

import { type Mode, startApi } from './api.ts'

const [mode, databasePath, ...servers] = process.argv.slice(2)
const api = await startApi(mode as Mode, databasePath, servers)
process.on('message', () => process.send?.(api.queries()))
process.on('disconnect', () => process.exit(0))
process.send?.(api.port)
