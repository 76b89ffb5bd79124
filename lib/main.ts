#!/usr/bin/env node
// The executable. It looks at the runtime before anything else is loaded: this file has to load on
// a Node too old for the rest, so it imports nothing up front and uses nothing new.

const NEEDED = 'Node.js 26.6 or later, or 24.21 or later of the 24 line'

if (isNewEnough(process.versions.node)) {
  const { prepareLoading } = await import('./load.ts')
  prepareLoading()
  const { main } = await import('./cli.ts')
  await main(process.argv.slice(2))
} else {
  console.error(`memslab needs ${NEEDED}; this is ${process.versions.node}`)
  process.exitCode = 1
}

// Sockets can be handed to worker threads since these two versions.
function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major === 24) return minor >= 21
  return major > 26 || (major === 26 && minor >= 6)
}

export {}
