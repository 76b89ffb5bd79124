// To be imported before everything else (`node --import`): puts timed-lock.ts in the place of the
// arenas' lock, so that measuring it costs nothing where it is not measured.

import { registerHooks } from 'node:module'

const PLAIN = new URL('../../lib/engine/arena/lock.ts', import.meta.url).href
const TIMED = new URL('timed-lock.ts', import.meta.url).href

registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context)
    const isMeant = found.url === PLAIN && context.parentURL !== TIMED
    return isMeant ? { ...found, url: TIMED } : found
  },
})
