/**
 * Loaded into the process of each test file before anything else (see .taprc). It makes processes
 * start fast, since many tests start some: Node keeps what it compiled on disk, and tap's loader
 * stays out of the programs under test. Only coverage needs that loader, and it doubles their CPU.
 */
import { createRequire, enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'

const CACHE = fileURLToPath(new URL('../../node_modules/.cache/compiled', import.meta.url))
const LOADER = /"?--import=\S*@tapjs\/processinfo\S*/

enableCompileCache(CACHE)
process.env.NODE_COMPILE_CACHE = CACHE
process.env.NODE_OPTIONS = (process.env.NODE_OPTIONS ?? '').replace(LOADER, '').trim()
// The loader's listener would add it to the environment of each child again.
createRequire(import.meta.url)('process-on-spawn').removeAllListeners()
