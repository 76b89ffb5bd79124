// The entry for programs that use the arenas directly: `import { Cache } from 'memslab/engine'`.
// Its exports follow the engine and may change with any version. Applications use LocalCache.

export {} from '../node-version.ts'

// The rest is evaluated after the check of Node's version above.

export { Area } from '../bytes/area.ts'
export { expiresAt } from './arena/clock.ts'
export { Cache, type CacheHandle, type CacheOptions } from './cache.ts'
export type { Hold } from './items/holds.ts'
export { Shard } from './shard.ts'
export { Mode, Status } from './status.ts'
export { Ask, type HitSink } from './storing/ask.ts'
export { ValueSink } from './value-sink.ts'
export { verify } from './verify.ts'
