// The first import of every public entry: on a Node too old for the rest it throws one clear line.
// For that the whole module graph must link on old versions, so names that those lack are not
// imported from Node's modules but read from the modules' default exports where they are used.

const NEEDED = 'Node.js 26.6 or later, or 24.21 or later of the 24 line'

// The first versions that can transfer sockets to worker threads.
function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major === 24) return minor >= 21
  return major > 26 || (major === 26 && minor >= 6)
}

if (!isNewEnough(process.versions.node)) {
  const error = new Error(`memslab needs ${NEEDED}; this is ${process.versions.node}`)
  // The stack would say nothing.
  error.stack = error.message
  throw error
}

export {}
