// How a thread of the daemon loads its code: a hundred small files, which is most of its start. Two
// things shorten that. Imports between memslab's own files are resolved here, by their text alone,
// where Node would look at each file, its links and the package files above it (75 ms of CPU a
// thread, 55 without). And V8's code is kept on disk (35 ms).
//
// That code is run, so it is kept where memslab's own is and nowhere else: whoever may write the one
// may write the other. Where this user may not, or the disk is read-only, nothing is kept and
// nothing said.

import { enableCompileCache, flushCompileCache, registerHooks } from 'node:module'

const HERE = new URL('.', import.meta.url)
const ROOT = new URL('..', HERE).href
const FORMAT = import.meta.url.endsWith('.ts') ? 'module-typescript' : 'module'

/** Before this thread loads anything else. */
export function prepareLoading(): void {
  if (FORMAT === 'module') enableCompileCache(new URL('cache/', ROOT).pathname)
  registerHooks({
    resolve(specifier, { parentURL }, next) {
      const isOwn = specifier.startsWith('.') && parentURL?.startsWith(ROOT)
      // ROOT ends in the slash before a node_modules of its own.
      if (!isOwn || parentURL?.includes('/node_modules/', ROOT.length - 1)) return next(specifier)
      return { url: new URL(specifier, parentURL).href, format: FORMAT, shortCircuit: true }
    },
  })
}

/** Keeps what this thread has compiled by now, if that is not kept already. */
export function keepCompiled(): void {
  flushCompileCache()
}
