// What the pool loads in each thread: little by itself, so that the rest is loaded in the short way.

import { keepCompiled, prepareLoading } from '../lib/load.ts'

prepareLoading()
const { default: serve } = await import('./serve.ts')
keepCompiled()

export default serve

/** Does nothing: the main thread runs it when the pool is short of a thread. */
export function nudge(): void {}
