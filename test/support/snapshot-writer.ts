/**
 * Takes snapshots of a small cache into a folder, again and again, until it is killed. Each has the
 * round in all of its values, so that a mixture would be noticed.
 */
import { randomBytes } from 'node:crypto'
import { MIB } from '../../lib/bytes/units.ts'
import { Cache } from '../../lib/engine/cache.ts'
import { Taker } from '../../lib/keeping/arenas/taker.ts'
import { AsideFile } from '../../lib/keeping/snapshot/aside-file.ts'
import { removeOld, snapshotName } from '../../lib/keeping/snapshot/folder.ts'
import { Peer } from './engine-peer.ts'

const [folder = ''] = process.argv.slice(2)
const KEYS = 400

const peer = new Peer(Cache.create({ memoryBytes: 32 * MIB, shards: 2 }))
for (let round = 0; ; round++) {
  const value = Buffer.concat([Buffer.from(`${round};`), randomBytes(2000)])
  for (let i = 0; i < KEYS; i++) peer.set(`key-${i}`, value)
  const taker = new Taker(peer.cache, { hasCas: false, secret: null, level: 1 })
  const file = new AsideFile(`${folder}/${snapshotName(Date.now())}`)
  for (let piece = taker.step(); piece !== null; piece = taker.step()) file.write(piece)
  file.commit()
  removeOld(folder, { count: 3 })
  if (round === 0) process.stdout.write('ready\n')
}
