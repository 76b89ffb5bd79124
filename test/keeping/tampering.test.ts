// An attacker who may write an encrypted file, and mends its checksums, changes nothing that a
// reader accepts: blocks moved, left out, repeated, or taken from another file of the same key.

import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import t from 'tap'
import { MIB } from '../../lib/bytes/units.ts'
import { Cache } from '../../lib/engine/cache.ts'
import * as F from '../../lib/keeping/snapshot/layout.ts'
import { verifySnapshot } from '../../lib/keeping/snapshot/reader.ts'
import { Unsound } from '../../lib/keeping/snapshot/unsound.ts'
import { Peer } from '../support/engine-peer.ts'
import { announceSeed, createRandom } from '../support/prng.ts'
import { runs } from '../support/runs.ts'
import { restoreFile, takeSnapshot } from '../support/snapshots.ts'

const seed = announceSeed(t)
const SECRET = Buffer.alloc(32, 9)

function sealed(secret: Buffer | null = SECRET, level = 1): { header: Buffer; blocks: Buffer[] } {
  const peer = new Peer(Cache.create({ memoryBytes: 16 * MIB }))
  for (let i = 0; i < 3000; i++) peer.set(`key-${i}`, randomBytes(200))
  const bytes = takeSnapshot(peer.cache, { secret, level })
  const blocks: Buffer[] = []
  for (let at = F.HEADER_BYTES; at < bytes.length; ) {
    const length = F.BLOCK_HEAD_BYTES + bytes.readUInt32LE(at + F.BLOCK_STORED_BYTES)
    blocks.push(Buffer.from(bytes.subarray(at, at + length)))
    at += length
  }
  return { header: Buffer.from(bytes.subarray(0, F.HEADER_BYTES)), blocks }
}

/** Numbers the blocks anew and mends their checksums. */
function mended(header: Buffer, blocks: readonly Buffer[]): Buffer {
  const copies = blocks.map((block, number) => {
    const copy = Buffer.from(block)
    copy.writeUInt32LE(number, F.BLOCK_NUMBER)
    const head = crc32(copy.subarray(0, F.BLOCK_CHECKSUM))
    copy.writeUInt32LE(crc32(copy.subarray(F.BLOCK_HEAD_BYTES), head), F.BLOCK_CHECKSUM)
    return copy
  })
  return Buffer.concat([header, ...copies])
}

t.test('moved, missing, repeated and foreign blocks are noticed', async t => {
  const path = `${t.testdir()}/it`
  const { header, blocks } = sealed()
  const [first, second, ...rest] = blocks
  t.ok(rest.length > 2)
  const verify = (bytes: Buffer) => {
    writeFileSync(path, bytes)
    return () => verifySnapshot(path, SECRET)
  }
  t.doesNotThrow(verify(mended(header, blocks)), 'nothing was changed')
  t.throws(verify(mended(header, [second, first, ...rest])), /tampered/)
  t.throws(verify(mended(header, [second, ...rest])), /tampered/)
  t.throws(verify(mended(header, [first, ...blocks])), /tampered/)
  t.throws(verify(mended(header, blocks.slice(0, -1))), /torn/)
  const other = sealed()
  t.throws(verify(mended(header, [other.blocks[0], second, ...rest])), /tampered/)
  t.throws(verify(mended(other.header, blocks)), /tampered/)
  const begun = Buffer.from(header)
  begun[F.HEADER_WALL_MS] ^= 1
  begun.writeUInt32LE(crc32(begun.subarray(0, F.HEADER_CHECKSUM)), F.HEADER_CHECKSUM)
  t.throws(verify(mended(begun, blocks)), /tampered/, 'the header is sealed too')
})

t.test('no two payloads have a key and a nonce in common', async t => {
  const [one, two] = [sealed(), sealed()]
  const saltOf = ({ header }: typeof one) =>
    header.toString('hex', F.HEADER_SALT, F.HEADER_SALT + F.SALT_BYTES)
  t.not(saltOf(one), saltOf(two), 'each file has a key of its own')
  const numbers = one.blocks.map(block => block.readUInt32LE(F.BLOCK_NUMBER))
  t.equal(new Set(numbers).size, numbers.length)
})

t.test('a file of a later version, or with what nobody knows, is refused', async t => {
  const path = `${t.testdir()}/it`
  const { header, blocks } = sealed(null)
  const changed = (change: (bytes: Buffer) => void) => {
    const copy = Buffer.from(header)
    change(copy)
    copy.writeUInt32LE(crc32(copy.subarray(0, F.HEADER_CHECKSUM)), F.HEADER_CHECKSUM)
    writeFileSync(path, mended(copy, blocks))
    return () => verifySnapshot(path, null)
  }
  t.throws(
    changed(bytes => bytes.writeUInt16LE(2, F.HEADER_READERS)),
    /newer memslab/,
  )
  t.throws(
    changed(bytes => bytes.writeUInt32LE(1 << 7, F.HEADER_FLAGS)),
    /newer memslab/,
  )
  // A later version that this one can read, with something in bytes that it ignores.
  const later = changed(bytes => {
    bytes.writeUInt16LE(2, F.HEADER_VERSION)
    bytes[50] = 7
  })
  t.doesNotThrow(later)
})

t.test('a file that lies about its records is refused, or is taken at its word', async t => {
  const path = `${t.testdir()}/it`
  const { header, blocks } = sealed(null, 0)
  let refused = 0
  for (let round = 0; round < runs(40, 5000); round++) {
    const random = createRandom(seed, round)
    const lies = blocks.map(block => Buffer.from(block))
    for (let i = random.between(1, 3); i > 0; i--) {
      const block = random.pick(lies)
      // The first record of a block, or its head.
      block[random.below(F.BLOCK_HEAD_BYTES + F.RECORD_BYTES)] = random.below(256)
    }
    writeFileSync(path, mended(header, lies))
    const peer = new Peer(Cache.create({ memoryBytes: 16 * MIB }))
    try {
      restoreFile(path, peer.cache)
    } catch (error) {
      if (!(error instanceof Unsound)) throw new Error(`seed ${seed}, round ${round}: ${error}`)
      if (peer.cache.itemCount() > 0) t.fail(`seed ${seed}, round ${round}: items of a lie`)
      refused++
    }
    peer.verify()
  }
  t.ok(refused > 0, `${refused} refused`)
})
