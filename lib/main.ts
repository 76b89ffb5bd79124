#!/usr/bin/env node
// The executable. It checks Node's version before it loads anything else. This file must load on a
// Node too old for the rest, so it has no static imports and uses nothing new.

try {
  await import('./node-version.ts')
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
}
const { prepareLoading } = await import('./load.ts')
prepareLoading()
const { main } = await import('./cli.ts')
await main(process.argv.slice(2))

export {}
