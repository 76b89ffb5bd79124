// Imported before everything else (`node --import`): resolves imports of the arenas' lock to
// timed-lock.ts, so that the lock itself needs no code for measuring.

import { registerHooks } from 'node:module'

const PLAIN = new URL('../../lib/engine/arena/lock.ts', import.meta.url).href
const TIMED = new URL('timed-lock.ts', import.meta.url).href

registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context)
    const isReplaced = found.url === PLAIN && context.parentURL !== TIMED
    return isReplaced ? { ...found, url: TIMED } : found
  },
})
