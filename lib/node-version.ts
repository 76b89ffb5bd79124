// The first import of every door: on a Node that is too old for the rest it throws one clear line.
// For that the whole graph of modules has to link there, so names that old ones lack are not
// imported from Node's modules but read from their default exports where they are used.

const NEEDED = 'Node.js 26.6 or later, or 24.21 or later of the 24 line'

// Sockets can be handed to worker threads since these two versions.
function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major === 24) return minor >= 21
  return major > 26 || (major === 26 && minor >= 6)
}

if (!isNewEnough(process.versions.node)) {
  const error = new Error(`memslab needs ${NEEDED}; this is ${process.versions.node}`)
  // Where it was thrown says nothing.
  error.stack = error.message
  throw error
}

export {}
