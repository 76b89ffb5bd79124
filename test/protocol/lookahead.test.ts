// The lookahead computes the hash of the key that is in the buffer, and computes it ahead: the
// tests change the bytes afterwards. Plain requests are recognised for what they are, and no
// others.

import t from 'tap'
import { Area } from '../../lib/bytes/area.ts'
import { Cache } from '../../lib/engine/cache.ts'
import { PREFETCH_KEYS_MAX } from '../../lib/engine/limits.ts'
import { lookAheadFrames } from '../../lib/protocol/binary/ahead.ts'
import { HEADER_BYTES, REQUEST_MAGIC } from '../../lib/protocol/binary/layout.ts'
import {
  forgetAhead,
  hashOf,
  keyEndAt,
  lookAhead,
  NOT_PLAIN,
  PLAIN_GET,
  plainAt,
} from '../../lib/protocol/lookahead.ts'
import { announceSeed, createRandom, type Random } from '../support/prng.ts'
import { createHost, Peer } from '../support/server-session.ts'

const MIB = 1 << 20
const seed = announceSeed(t)
const cache = Cache.create({ memoryBytes: 16 * MIB })
const { request } = new Peer(createHost()).session

t.test('keys of pipelined commands are hashed ahead', async t => {
  const keys = Array.from({ length: 20 }, (_, i) => `key-${i}`)
  const [a, b, c, d, e, f, g, h, i, j, ...more] = keys
  const commands = [
    `get ${a}\r\n`,
    `gets ${b} ${c}\r\n`,
    `set ${d} 0 0 10\r\nget wrong \n\r\n`,
    `ms ${e} 11 T0\r\nmg wrong v\n.\r\n`,
    `mg ${f} v\r\nmn\r\n`,
    `delete ${g}\r\nincr ${h} 1\r\n`,
    `append ${i} 0 0 0 noreply\r\n\r\n`,
    `md ${j} q\r\n`,
    `get ${more.join('  ')}\r\n`,
  ]
  t.same(foreseen(commands.join(''), keys), keys)
})

t.test('keys of pipelined frames are hashed ahead', async t => {
  const keys = Array.from({ length: 10 }, (_, i) => `key-${i}`)
  const frames = keys.map((key, i) => {
    const header = Buffer.alloc(HEADER_BYTES + 8)
    header[0] = REQUEST_MAGIC
    header.writeUInt16BE(key.length, 2)
    header[4] = 8
    header.writeUInt32BE(8 + key.length + i, 8)
    return `${header.toString('latin1')}${key}${'v'.repeat(i)}`
  })
  t.same(foreseen(frames.join(''), keys, lookAheadFrames), keys)
})

t.test('a lookahead stops when its slots are full, and continues from there', async t => {
  const keys = Array.from({ length: 3 * PREFETCH_KEYS_MAX + 1 }, (_, i) => `key-${i}`)
  const line = `get ${keys.join(' ')}\r\n`
  t.same(foreseen(line, keys), keys.slice(0, PREFETCH_KEYS_MAX))
  const { area, bytes } = areaOf(line)
  forgetAhead()
  for (const key of keys) {
    const at = bytes.indexOf(`${key}`)
    lookAhead(cache, area, at, bytes.length, true)
    t.equal(hashOf(cache, area, at, key.length), cache.hash(area, at, key.length))
  }
})

t.test('for any input, every hash is that of its bytes', async t => {
  const random = createRandom(seed)
  const words = ['get', 'set', 'ms', 'mg', ' ', '  ', '\r\n', '\n', '\0', '99', '4294967295', 'key']
  for (let run = 0; run < 3000; run++) {
    let text = ''
    while (text.length < 400) {
      text += random.once(20) ? String.fromCharCode(random.below(256)) : random.pick(words)
      if (random.once(3)) text += ' '
    }
    const { area, bytes } = areaOf(text)
    const look = random.once(2) ? lookAhead : lookAheadFrames
    if (look === lookAheadFrames) for (let i = 0; i < 400; i += 24) bytes[i] = REQUEST_MAGIC
    forgetAhead()
    let at = 0
    while (at < bytes.length) {
      look(cache, area, at, random.between(at, bytes.length), random.once(2))
      at += random.between(1, 40)
      const length = Math.min(random.between(0, 30), bytes.length - at)
      if (length < 0) break
      if (hashOf(cache, area, at, length) === cache.hash(area, at, length)) continue
      t.fail(`run ${run}: another hash at ${at}`)
      return
    }
  }
  t.pass('3000 runs')
})

t.test('plain requests are recognised, and no others', async t => {
  const random = createRandom(seed)
  let plainCount = 0
  for (let run = 0; run < 3000; run++) {
    const first = nearlyPlain(random)
    const text = first + nearlyPlain(random).repeat(random.below(3))
    const { area, bytes } = areaOf(text)
    const end = random.once(2) ? bytes.length : random.between(1, bytes.length)
    const wanted = saidPlainly(text.slice(0, end))
    forgetAhead()
    lookAhead(cache, area, 0, end, false)
    const seen = plainAt(area, 0, request)
    if (wanted !== null) plainCount++
    const { keyStart, keyBytes, flags, exptime, valueBytes } = request
    const said = { at: seen, keyStart, keyBytes, flags, exptime, valueBytes }
    const got = seen === NOT_PLAIN ? null : said
    if (got === null ? wanted === null : matches(got, wanted)) continue
    t.same(got, wanted, `run ${run}: ${JSON.stringify(text.slice(0, end))}`)
    return
  }
  t.ok(plainCount > 500, `${plainCount} were plain`)
})

t.test('keys in the middle of a get are found up to the byte that ends them', async t => {
  const { area, bytes } = areaOf(`get a bb  ccc\tdddd\r\n${' '.repeat(128)}`)
  forgetAhead()
  lookAhead(cache, area, 0, bytes.length, false)
  t.same(
    [4, 6, 9].map(at => keyEndAt(at)),
    [5, 8, -1],
  )
  forgetAhead()
  lookAhead(cache, area, 0, bytes.length, false)
  t.equal(keyEndAt(10), 13)
  t.equal(keyEndAt(14), -1)
})

/** The keys whose hash is known although their bytes are overwritten. */
function foreseen(text: string, keys: string[], look = lookAhead): string[] {
  const { area, bytes } = areaOf(text)
  const places = keys.map(key => bytes.indexOf(key))
  const right = keys.map((key, i) => cache.hash(area, places[i], key.length))
  forgetAhead()
  look(cache, area, 0, bytes.length, false)
  bytes.fill('x')
  return keys.filter((key, i) => hashOf(cache, area, places[i], key.length) === right[i])
}

function areaOf(text: string) {
  const bytes = Buffer.from(text, 'latin1')
  return { bytes, area: new Area(bytes) }
}

/** A get or a set, mostly plain, otherwise with something unusual. */
function nearlyPlain(random: Random): string {
  const odd = (usual: string, ...others: string[]) =>
    random.once(12) ? random.pick(others) : usual
  const number = () =>
    odd(String(random.below(50)), '', '-1', '999999999', '4294967295', '1x', '007', ' 1')
  const key = odd(
    'k'.repeat(random.between(1, 20)),
    '',
    'a\tb',
    'K'.repeat(250),
    'K'.repeat(251),
    '\xff',
  )
  const lineEnd = odd('\r\n', '\n', '\r', ' \r\n', ' noreply\r\n', '\0\r\n')
  const blank = odd(' ', '  ', '\t')
  if (random.once(3)) return `${odd('get', 'gets', 'GET')}${blank}${key}${lineEnd}`
  const value = 'v'.repeat(random.below(40))
  const length = odd(String(value.length), number(), String(value.length + 1))
  const words = `${odd('set', 'add', 'sets')}${blank}${key} ${number()} ${number()} ${length}`
  return `${words}${lineEnd}${value}${odd('\r\n', '\n', '\rx', 'x\n')}`
}

interface Said {
  at: number
  keyStart: number
  keyBytes: number
  flags: number
  exptime: number
  valueBytes: number
}

/** The plain request that a text begins with, or null. */
function saidPlainly(text: string): Partial<Said> | null {
  const get = /^get ([\x21-\xff]{1,250})\r\n/.exec(text)
  if (get !== null) return { at: PLAIN_GET, keyStart: 4, keyBytes: get[1].length }
  const set = /^set ([\x21-\xff]{1,250}) (\d{1,9}) (\d{1,9}) (\d{1,9})\r\n/.exec(text)
  if (set === null) return null
  const [line, key, flags, exptime, length] = set
  const end = line.length + Number(length)
  if (text.slice(end, end + 2) !== '\r\n') return null
  return {
    at: line.length,
    keyStart: 4,
    keyBytes: key.length,
    flags: Number(flags),
    exptime: Number(exptime),
    valueBytes: Number(length),
  }
}

function matches(got: Said, wanted: Partial<Said> | null): boolean {
  if (wanted === null) return false
  return Object.entries(wanted).every(([name, value]) => got[name as keyof Said] === value)
}
