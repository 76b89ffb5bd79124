/**
 * The requests that clients of the meta commands send (dalli with `protocol: :meta`, and
 * meta-memcache for Python, neither of them installed in CI), and the replies that their parsers
 * expect: batches closed by `mn`, quiet gets with keys and sizes, leases, stale items, chosen CAS,
 * base64 keys.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startServing } from '../support/client-server.ts'
import { Wire } from '../support/wire.ts'

const READ_MS_MAX = 20_000
const MAKES_NO_COUNTERS = '1.6.18' // Debian's memcached: `ma` with N fails there

interface Reply {
  readonly code: string
  readonly flags: Readonly<Record<string, string>>
  readonly value?: string
}

/** One connection. Each call is a batch that `mn` closes. */
type Batch = (...requests: string[]) => Promise<Reply[]>

t.test('meta', async t => {
  const { port } = await startServing(t)
  const batch = await connect(t, port)
  await t.test('stores in each mode', t => storesInModes(t, batch))
  await t.test('gets', t => gets(t, batch))
  await t.test('pipelined gets of dalli', t => pipelinedGets(t, batch))
  await t.test('a quiet batch', t => quietBatch(t, batch))
  await t.test('swaps', t => swaps(t, batch))
  await t.test('touches', t => touches(t, batch))
  await t.test('a lease on a miss', t => leases(t, batch))
  await t.test('a stale item', t => staleItems(t, batch))
  await t.test('recaching early', t => recaches(t, batch))
  await t.test('base64 keys', t => base64Keys(t, batch))
  await t.test('counts', async t => counts(t, batch, await versionOf(port)))
})

async function connect(t: Test, port: number): Promise<Batch> {
  const wire = await Wire.connect(port)
  t.teardown(() => wire.close())
  return async (...requests) => {
    wire.send(Buffer.from([...requests, 'mn\r\n'].join('')))
    await wire.readUntil(Buffer.from('MN\r\n'), READ_MS_MAX)
    return readReplies(wire.take().toString('latin1'))
  }
}

function readReplies(text: string): Reply[] {
  const replies: Reply[] = []
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\r\n', at)
    const [code = '', ...rest] = text.slice(at, end).split(' ')
    at = end + 2
    const bytes = code === 'VA' ? Number(rest.shift()) : -1
    const flags = Object.fromEntries(rest.map(token => [token[0], token.slice(1)]))
    if (bytes < 0) replies.push({ code, flags })
    else {
      replies.push({ code, flags, value: text.slice(at, at + bytes) })
      at += bytes + 2
    }
  }
  if (replies.pop()?.code !== 'MN') throw new Error(`a batch that mn did not close: ${text}`)
  return replies
}

const set = (key: string, value: string, flags = 'T0') =>
  `ms ${key} ${value.length} ${flags}\r\n${value}\r\n`
const get = (key: string, flags = 'v') => `mg ${key} ${flags}\r\n`
const codes = (replies: Reply[]) => replies.map(({ code }) => code).join(' ')

async function versionOf(port: number): Promise<string> {
  const wire = await Wire.connect(port)
  wire.send(Buffer.from('version\r\n'))
  await wire.readUntil(Buffer.from('\r\n'), READ_MS_MAX)
  wire.close()
  return wire.take().toString('latin1').replace('VERSION', '').trim()
}

async function storesInModes(t: Test, batch: Batch) {
  const [stored] = await batch(set('a', 'one', 'c F5 T100 MS'))
  t.equal(stored?.code, 'HD', 'set')
  t.ok(Number(stored?.flags.c) > 0, 'which answers the cas')
  t.equal(codes(await batch(set('a', 'two', 'c F0 T100 ME'))), 'NS', 'add of what is there')
  t.equal(codes(await batch(set('new', 'two', 'c F0 T100 ME'))), 'HD', 'add')
  t.equal(codes(await batch(set('a', 'three', 'c F0 T100 MR'))), 'HD', 'replace')
  t.equal(codes(await batch(set('none', 'x', 'c F0 T100 MR'))), 'NS', 'replace of a miss')
  t.equal(codes(await batch(set('a', '>', 'MA'), set('a', '<', 'MP'))), 'HD HD', 'join')
  t.equal(codes(await batch(set('none', '>', 'MA'), set('none', '<', 'MP'))), 'NS NS', 'to a miss')
  t.equal(codes(await batch('md a\r\n', 'md a\r\n')), 'HD NF', 'delete, and of a miss')
}

async function gets(t: Test, batch: Batch) {
  await batch(set('g', 'got', 'F7 T1000'))
  const [first, second] = await batch(get('g', 't l v h f c'), get('g', 't l v h f c'))
  t.match(first, { code: 'VA', value: 'got', flags: { f: '7', h: '0' } }, 'the first get')
  t.match(second, { value: 'got', flags: { f: '7', h: '1', l: /^[01]$/ } }, 'the second was hit')
  t.match(first?.flags.t, /^(1000|999|998)$/, 'the time left')
  t.match(await batch(get('g', 's v f')), [{ flags: { s: '3', f: '7' } }], 'size and flags')
  t.match(await batch(get('g', 's')), [{ code: 'HD', flags: { s: '3' } }], 'size without value')
  t.equal(codes(await batch('mg g\r\n', 'mg none\r\n')), 'HD EN', 'neither asked for')
  t.equal(codes(await batch(get('none', 't l v h f c'))), 'EN', 'a miss')
  await batch(set('endless', 'x', 'T0'))
  t.match(await batch(get('endless', 't')), [{ flags: { t: '-1' } }], 'no end')
  const large = 'large '.repeat(100_000)
  await batch(set('large', large))
  t.ok((await batch(get('large')))[0]?.value === large, 'a large value')
}

async function pipelinedGets(t: Test, batch: Batch) {
  const keys = Array.from({ length: 500 }, (_, index) => `pipelined${index}`)
  await batch(...keys.map(key => set(key, `value of ${key}`, 'q T0')))
  const asked = keys.flatMap(key => [get(key, 'v f k q s'), get(`no-${key}`, 'v f k q s')])
  const replies = await batch(...asked)
  t.same(
    replies.map(({ flags, value }) => [flags.k, value]),
    keys.map(key => [key, `value of ${key}`]),
    'hits in order, with keys, misses without a word',
  )
  t.ok(replies.every(({ flags, value }) => Number(flags.s) === value?.length))
  const opaque = await batch(...keys.map((key, index) => get(key, `v O${index}`)))
  t.ok(opaque.every(({ flags }, index) => flags.O === `${index}`))
}

async function quietBatch(t: Test, batch: Batch) {
  t.same(await batch(set('q', '1', 'q T0'), 'md q q\r\n', 'mg q q\r\n'), [], 'success is quiet')
  const failures = await batch(set('q', '1', 'q MR'), set('q2', '1', 'q'), set('q2', '2', 'q ME'))
  t.equal(codes(failures), 'NS NS', 'failure is not')
  await batch(set('n', '5'))
  t.same(await batch('ma n q\r\n', 'ma n q MD D3\r\n'), [], 'nor is counting heard of')
  t.match(await batch(get('n')), [{ value: '3' }], 'which was done')
}

async function swaps(t: Test, batch: Batch) {
  const [stored] = await batch(set('c', 'one', 'c T0'))
  const cas = stored?.flags.c
  t.match(await batch(get('c', 'v c')), [{ value: 'one', flags: { c: cas } }], 'get with cas')
  t.equal(codes(await batch(set('c', 'two', `c C${cas} T0`))), 'HD', 'cas that is right')
  t.equal(codes(await batch(set('c', 'three', `c C${cas} T0`))), 'EX', 'cas that is stale')
  t.equal(codes(await batch(set('none', 'x', `c C${cas} T0`))), 'NF', 'cas of a miss')
  t.equal(codes(await batch(`md c C${cas}\r\n`)), 'EX', 'delete with a stale cas')
  const [{ flags } = { flags: { c: '' } }] = await batch(get('c', 'c'))
  t.equal(codes(await batch(`md c C${flags.c}\r\n`)), 'HD', 'delete with the right one')
  t.equal(codes(await batch(get('c'))), 'EN', 'which removes')
}

async function touches(t: Test, batch: Batch) {
  await batch(set('t', 'x', 'T3'), set('soon', 'x', 'T1'))
  t.equal(codes(await batch('mg t T1000\r\n', 'mg none T1000\r\n')), 'HD EN', 'touch')
  t.match(await batch(get('t', 'v t')), [{ value: 'x', flags: { t: /^(1000|99\d)$/ } }])
  await sleep(4_100)
  t.equal(codes(await batch(get('t'), get('soon'))), 'VA EN', 'what was touched lives on')
  t.match(await batch(get('t', 'v T30 t')), [{ value: 'x', flags: { t: '30' } }], 'get and touch')
}

async function leases(t: Test, batch: Batch) {
  const request = get('leased', 't l v h f c N30')
  const [first, second] = await batch(request, request)
  t.match(first, { code: 'VA', value: '', flags: { W: '' } }, 'the first asker wins')
  t.match(second, { code: 'VA', value: '', flags: { Z: '' } }, 'the second is told to wait')
  t.equal(second?.flags.W, undefined, 'and does not win')
  t.equal(codes(await batch(set('leased', 'made', `C${first?.flags.c} T0`))), 'HD', 'it is filled')
  const [third] = await batch(request)
  t.equal(third?.value, 'made', 'then everyone has it')
  t.same([third?.flags.W, third?.flags.Z], [undefined, undefined], 'and nobody has to')
}

async function staleItems(t: Test, batch: Batch) {
  await batch(set('s', 'old', 'T0'))
  t.equal(codes(await batch('md s I T30\r\n')), 'HD', 'marked stale')
  const [first, second] = await batch(get('s', 't v c'), get('s', 't v c'))
  t.match(first, { value: 'old', flags: { W: '', X: '', t: /^(30|29)$/ } }, 'the first wins')
  t.match(second, { value: 'old', flags: { Z: '', X: '' } }, 'others use the stale value')
  t.equal(codes(await batch(set('s', 'new', `C${first?.flags.c} T0`))), 'HD', 'it is made anew')
  const [third] = await batch(get('s', 't v c'))
  t.match(third, { value: 'new' })
  t.equal(third?.flags.X, undefined, 'and is not stale any more')
  await batch('md s I T30\r\n')
  t.match(await batch(set('s', 'late', 'C1 I T0')), [{ code: 'HD' }], 'an old cas with I may store')
  t.match(await batch(get('s')), [{ value: 'late', flags: { X: '' } }], 'what stays stale')
}

async function recaches(t: Test, batch: Batch) {
  await batch(set('r', 'soon', 'T20'))
  const [first, second] = await batch(get('r', 'v t R30'), get('r', 'v t R30'))
  t.match(first, { value: 'soon', flags: { W: '' } }, 'below R seconds one asker wins')
  t.match(second, { value: 'soon', flags: { Z: '' } }, 'and one only')
  const [far] = await batch(get('r', 'v t R10'))
  t.match(far, { value: 'soon' }, 'above R seconds')
}

async function base64Keys(t: Test, batch: Batch) {
  const key = Buffer.from('schlüssel \u0001 mit Leerzeichen').toString('base64')
  t.equal(codes(await batch(set(key, 'coded', 'b T0'))), 'HD', 'set')
  const [got] = await batch(get(key, 'v k b'))
  t.match(got, { value: 'coded', flags: { k: key, b: '' } }, 'get gives the key back, coded')
  t.equal(codes(await batch(get(key))), 'EN', 'without b it is another key')
  t.equal(codes(await batch(`md ${key} b\r\n`)), 'HD', 'delete')
}

async function counts(t: Test, batch: Batch, version: string) {
  await batch(set('n', '10'))
  t.match(await batch('ma n v\r\n'), [{ code: 'VA', value: '11' }], 'up by one')
  t.match(await batch('ma n v D4 MI\r\n'), [{ value: '15' }], 'up')
  t.match(await batch('ma n v D6 MD\r\n'), [{ value: '9' }], 'down')
  t.match(await batch('ma n v D100 MD\r\n'), [{ value: '0' }], 'down to 0')
  t.equal(codes(await batch('ma none v\r\n')), 'NF', 'a miss')
  const [word] = await batch(set('word', 'word'), 'ma word v\r\n')
  t.equal(word?.code, 'HD')
  const [{ flags } = { flags: {} as Reply['flags'] }] = await batch('mg n c\r\n')
  t.equal(codes(await batch(`ma n v C${Number(flags.c) + 1_000}\r\n`)), 'EX', 'a stale cas')
  if (version === MAKES_NO_COUNTERS) return
  t.match(await batch('ma made v J7 N100 D5 MI\r\n'), [{ code: 'VA', value: '7' }], 'made')
  t.match(await batch('ma made v t J7 N100 D5 MI\r\n'), [{ value: '12' }], 'and counted on')
}
