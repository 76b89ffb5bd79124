// What the pool loads in each thread. It is small, so that the rest is loaded with V8's compiled
// code (lib/load.ts).

import { keepCompiled, prepareLoading } from '../lib/load.ts'

prepareLoading()
const { default: serve } = await import('./serve.ts')
keepCompiled()

export default serve

/** Does nothing: running it makes the pool start a missing thread. */
export function nudge(): void {}
