// Cache-aside: 500 callers ask for a value that is not cached. One of them loads it.

import { setTimeout as sleep } from 'node:timers/promises'
import { LocalCache } from 'memslab'
import { CacheAside } from 'memslab/strategies'

const cache = LocalCache.create({ memoryBytes: 64 * 2 ** 20 })
const users = new CacheAside(cache, { ttlS: 60, staleS: 300, negativeTtlS: 5 })

let queries = 0
async function userOf(id) {
  return users.getOrSet(`user:${id}`, async () => {
    queries++
    await sleep(100)
    return { id, name: 'Ada' }
  })
}

const found = await Promise.all(Array.from({ length: 500 }, () => userOf(1)))
console.log(`${found.length} answers, ${queries} query`)
cache.close()
