/** A thread that counts gets of a hundred prefixes. */
import { workerData } from 'node:worker_threads'
import { PrefixCount, Prefixes } from '../../lib/observe/prefixes.ts'

const { handle, each } = workerData
const prefixes = new Prefixes(handle)
for (let i = 0; i < each; i++) {
  const key = Buffer.from(`prefix${i % 100}:${i}`)
  prefixes.count(key, 0, key.length, PrefixCount.GET)
}
