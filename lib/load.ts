// How a thread of the daemon loads its code: a hundred small files, which is most of its start. Two
// measures shorten this. Imports between memslab's own files are resolved here by their text alone,
// where Node checks each file, its links and the package files above it (75 ms of CPU per thread
// with Node, 55 ms with this). And V8's compiled code is cached on disk (then 35 ms).
//
// The cached code is executed, so it is kept only beside memslab's own: then the same users may
// write both. If this user may not write there, or the disk is read-only, nothing is cached,
// silently.

import { enableCompileCache, flushCompileCache, registerHooks } from 'node:module'

const HERE = new URL('.', import.meta.url)
/** The folder that has `lib`. Bundled, this file is one of its `parts`. */
const ROOT = new URL(HERE.pathname.endsWith('/lib/parts/') ? '../..' : '..', HERE).href
const FORMAT = import.meta.url.endsWith('.ts') ? 'module-typescript' : 'module'

/** Call before this thread loads anything else. */
export function prepareLoading(): void {
  if (FORMAT === 'module') enableCompileCache(new URL('cache/', ROOT).pathname)
  registerHooks({
    resolve(specifier, { parentURL }, next) {
      const isOwn = specifier.startsWith('.') && parentURL?.startsWith(ROOT)
      // From ROOT's last slash on, to find a node_modules inside ROOT.
      if (!isOwn || parentURL?.includes('/node_modules/', ROOT.length - 1)) return next(specifier)
      return { url: new URL(specifier, parentURL).href, format: FORMAT, shortCircuit: true }
    },
  })
}

/** Caches what this thread has compiled so far, if it is not cached already. */
export function keepCompiled(): void {
  flushCompileCache()
}
