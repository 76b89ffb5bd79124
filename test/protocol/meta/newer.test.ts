// What 1.6.45 does and the oracle of the other tests (1.6.18) does not or does differently, and
// what memslab does differently from both on purpose.

import t, { type Test } from 'tap'
import { createHost, Peer, verifyAll } from '../../support/server-session.ts'

const SIZES = /cls=\d+ size=\d+/
const BAD_FORMAT = 'CLIENT_ERROR bad command line format'

/** Sends each request to one session and compares the replies. */
function dialogue(t: Test, lines: [request: string, reply: string][]): void {
  const host = createHost()
  const peer = new Peer(host)
  for (const [request, reply] of lines) {
    peer.feed(Buffer.from(`${request}\r\n`, 'latin1'))
    const wanted = reply === '' ? '' : `${reply}\r\n`
    const given = peer.take().toString('latin1').replace(SIZES, 'cls=* size=*')
    t.equal(given, wanted, JSON.stringify(request.slice(0, 60)))
  }
  verifyAll(host)
}

t.test('E chooses the CAS of a store', async t => {
  dialogue(t, [
    ['ms k 1 E100 c\r\na', 'HD c100'],
    ['mg k c v', 'VA 1 c100\r\na'],
    ['ms k 1 C100 E200 c\r\nb', 'HD c200'],
    ['ms k 1 C100 E300 c\r\nc', 'EX c0'],
    ['ms k 1 MA C200 E18446744073709551615 c\r\nc', 'HD c18446744073709551615'],
    ['mg k c v', 'VA 2 c18446744073709551615\r\nbc'],
    ['gets k', 'VALUE k 0 2 18446744073709551615\r\nbc\r\nEND'],
    ['ms k 1 C500 I E600 c\r\nd', 'HD c600'],
    ['mg k c v', 'VA 1 c600 X W\r\nd'],
    ['ms k 1 Ex\r\nd', 'CLIENT_ERROR bad token in command line format'],
    ['ms k 1 E0\r\nd', 'HD'],
    ['cas k 0 0 1 600\r\ne', 'EXISTS'],
    ['ms big 5000 E7 c F3 T60\r\n'.concat('x'.repeat(5000)), 'HD c7'],
    ['mg big c s f t', 'HD c7 s5000 f3 t60'],
  ])
})

t.test('E chooses the CAS of every command that changes an item', async t => {
  dialogue(t, [
    ['mg k N60 E5 c', 'HD c5 W'],
    ['ms k 2 F7 T60\r\n98', 'HD'],
    ['ma k E10 c v', 'VA 2 c10\r\n99'],
    ['mg k c f t v', 'VA 2 c10 f7 t60\r\n99'],
    ['ma k E11 C10 c v', 'VA 3 c11\r\n100'],
    ['mg k c f t v', 'VA 3 c11 f7 t60\r\n100'],
    ['ma new N0 J7 E12 c v', 'VA 1 c12\r\n7'],
    ['md k I E13', 'HD'],
    ['mg k c f t v', 'VA 3 c13 f7 t60 X W\r\n100'],
    ['md k I E14', 'HD'],
    ['mg k c h', 'HD c14 h1 X W'],
    ['md k E15 C14', 'HD'],
    ['mg k c', 'EN'],
  ])
})

t.test('a flush removes items whatever their CAS, and no later ones', async t => {
  dialogue(t, [
    ['ms low 1 E1\r\na', 'HD'],
    ['ms high 1 E18446744073709551615\r\na', 'HD'],
    ['ms own 1\r\na', 'HD'],
    ['ms stale 1\r\na', 'HD'],
    ['md stale I E999999999999', 'HD'],
    ['flush_all', 'OK'],
    ['mg low v', 'EN'],
    ['mg high v', 'EN'],
    ['mg stale v', 'EN'],
    ['ms low 1 E1 c\r\nb', 'HD c1'],
    ['ms high 1 E18446744073709551614\r\nb', 'HD'],
    ['mg low v c', 'VA 1 c1\r\nb'],
    ['mg high v', 'VA 1\r\nb'],
    ['mg own v', 'EN'],
    ['flush_all', 'OK'],
    ['mg low v', 'EN'],
    ['mg high v', 'EN'],
  ])
})

t.test('x removes the value and the client flags', async t => {
  dialogue(t, [
    ['ms k 5 F7 T60 c\r\nhello', 'HD c1'],
    ['md k x', 'HD'],
    ['mg k v f t c', 'VA 0 f0 t-1 c1\r\n'],
    ['md k x F3 T90 k O1', 'HD kk O1'],
    ['mg k v f t c', 'VA 0 f3 t90 c1\r\n'],
    ['md k x q', ''],
    ['md k x C9', 'EX'],
    ['md none x', 'NF'],
    ['ms k 5 E50\r\nhello', 'HD'],
    ['md k x', 'HD'],
    ['mg k v c', 'VA 0 c50\r\n'],
    ['md k x E60 I T30', 'HD'],
    ['mg k v c t', 'VA 0 c60 t30 X W\r\n'],
    ['ms aw== 1 b\r\nx', 'HD'],
    ['md aw== b x k', 'HD kaw== b'],
    ['mg k k', 'HD kaw== b'],
  ])
})

t.test('ms returns the size of its item', async t => {
  dialogue(t, [
    ['ms k 5 s\r\nhello', 'HD s5'],
    ['ms k 6 MA s k\r\n world', 'HD s11 kk'],
    ['ms k 3 MP s O1 c\r\n...', 'HD s14 O1 c3'],
    ['ms k 3 ME s\r\nabc', 'NS s3'],
    ['ms k 3 C99 s\r\nabc', 'EX s3'],
    ['ms none 3 C99 s\r\nabc', 'NF s3'],
    [`ms long 9000 k s O7\r\n${'x'.repeat(9000)}`, 'HD klong s9000 O7'],
    [`ms long 9000 MA s\r\n${'x'.repeat(9000)}`, 'HD s18000'],
  ])
})

t.test('N lets append and prepend create an item', async t => {
  dialogue(t, [
    ['ms k 3 MA N60 F5\r\nabc', 'HD'],
    ['mg k v t f', 'VA 3 t60 f5\r\nabc'],
    ['ms k 3 MA N90 F6\r\ndef', 'HD'],
    ['mg k v t f', 'VA 6 t60 f5\r\nabcdef'],
    ['ms p 1 MP N-1\r\nx', 'HD'],
    ['mg p v', 'EN'],
    ['ms p 1 MP T60 N0 s\r\nx', 'HD s1'],
    ['mg p v t', 'VA 1 t-1\r\nx'],
    ['ms set 1 N60 T30\r\nx', 'HD'],
    ['mg set t', 'HD t30'],
  ])
})

t.test('M reads one character', async t => {
  dialogue(t, [
    ['ms k 1 MSET\r\n1', 'HD'],
    ['ms k 1 MEverything\r\n1', 'NS'],
    ['ms k 1 M\r\n1', 'CLIENT_ERROR invalid mode for ms M token'],
    ['ma k MINCR v', 'VA 1\r\n2'],
    ['ma k MDECR v', 'VA 1\r\n1'],
    ['ma k M', 'CLIENT_ERROR invalid mode for ma M token'],
    ['mg k M', 'HD'],
    ['ms k 1 Me\r\n1', 'CLIENT_ERROR invalid mode for ms M token'],
  ])
})

t.test('md names the error in its flags', async t => {
  dialogue(t, [
    ['md k !', BAD_FORMAT],
    ['md k Tx !', BAD_FORMAT],
    ['md k 5', 'CLIENT_ERROR invalid flag'],
    ['md k [', 'CLIENT_ERROR invalid flag'],
    ['md k q q', 'CLIENT_ERROR duplicate flag'],
    ['md k Tx', 'CLIENT_ERROR bad token in command line format'],
    ['md = b', 'CLIENT_ERROR error decoding key'],
    ['ma k !', BAD_FORMAT],
    ['ma k 5', 'CLIENT_ERROR invalid or duplicate flag'],
  ])
})

t.test('a command has at most twenty words', async t => {
  const flags = 's t c f v l h k q u P L O N0 R0 T0 F0 C0'
  const tooMany = 'CLIENT_ERROR options flags are too long'
  dialogue(t, [
    [`mg k ${flags}`, 'VA 0 s0 t-1 c1 f0 l0 h0 kk O W\r\n'],
    [`mg k ${flags} I`, tooMany],
    [`md k ${flags} I`, tooMany],
    [`ma k ${flags} I`, 'CLIENT_ERROR invalid or duplicate flag'],
    [`ms k 1 ${flags}\r\n1`, tooMany],
    ['mn', 'MN'],
  ])
})

t.test('the value after a key that is too long is not read as a command', async t => {
  dialogue(t, [
    [`ms ${'K'.repeat(251)} 4\r\nmn\r\n`, BAD_FORMAT],
    [`ms ${'K'.repeat(251)} 5000\r\n${'x'.repeat(5000)}`, BAD_FORMAT],
    ['mn', 'MN'],
  ])
})

t.test('quiet ma does not answer for a number that it created', async t => {
  dialogue(t, [
    ['ma k N60 q v', ''],
    ['ma k v', 'VA 1\r\n1'],
  ])
})

t.test('a command with an opaque that is too long has no effect', async t => {
  const long = `O${'o'.repeat(32)}`
  const refused = 'CLIENT_ERROR opaque token too long'
  dialogue(t, [
    [`mg k N60 ${long}`, refused],
    ['mg k', 'EN'],
    ['ms k 1 T60\r\n5', 'HD'],
    [`ma k ${long}`, refused],
    [`mg k T0 ${long}`, refused],
    ['mg k v t h', 'VA 1 t60 h0\r\n5'],
  ])
})

t.test('a base64 key is never answered raw', async t => {
  const key = Buffer.from('a\r\nb').toString('base64')
  dialogue(t, [
    [`mg ${key} b N60 k`, `HD k${key} b W`],
    [`ms ${key} 1 b k\r\nx`, `HD k${key} b`],
    [`ms ${key} 1 b MA k\r\ny`, `HD k${key} b`],
    [`mg ${key} b k v`, `VA 2 k${key} b\r\nxy`],
    [`me ${key} b`, `ME ${key} exp=-1 la=0 cas=3 fetch=yes cls=* size=*`],
    [`md ${key} b k`, `HD k${key} b`],
    [`ma ${key} b k N0 J9`, `HD k${key} b`],
    [`ma ${key} b k v`, `VA 2 k${key} b\r\n10`],
    [`mg ${key} b k v`, `VA 2 k${key} b\r\n10`],
    ['mg YWJj b N60', 'HD W'],
    ['ms abc 1 k\r\nx', 'HD kabc'],
    ['mg abc k', 'HD kabc'],
  ])
})

t.test('T also applies to a number that gets longer', async t => {
  dialogue(t, [
    ['ms k 1\r\n9', 'HD'],
    ['ma k T60 v t', 'VA 2 t60\r\n10'],
    ['mg k t', 'HD t60'],
  ])
})

t.test('me shows when an item expires', async t => {
  dialogue(t, [
    ['ms k 2 T60\r\nhi', 'HD'],
    ['me k', 'ME k exp=60 la=0 cas=1 fetch=no cls=* size=*'],
    ['me', BAD_FORMAT],
    [`me ${'K'.repeat(251)}`, BAD_FORMAT],
  ])
})
