// A daemon on the memory of a cache, and a pool client that talks to it over the network.

import { LocalCache, serve } from 'memslab'
import { ClusterClient } from 'memslab/client'

const cache = LocalCache.create({ memoryBytes: 64 * 2 ** 20 })
const daemon = await serve(cache, { port: Number(process.env.PORT ?? 11211) })
const [{ address, port }] = daemon.addresses

const pool = new ClusterClient([`${address}:${port}`])
await pool.set('from', 'the network', { ttlS: 60 })
console.log(`in process: ${cache.get('from')}`)
cache.set('from', 'a thread')
console.log(`over the network: ${await pool.get('from')}`)

pool.close()
await daemon.close()
cache.close()
