// Operators' commands at the session: those that memcached does not have, or only in newer
// releases; and lines and bodies that are cut, endless or wrong.

import t from 'tap'
import { CloseReason } from '../../../lib/observe/journal.ts'
import { ClusterBoard, createClusterBoard } from '../../../lib/protocol/control/cluster-board.ts'
import { State } from '../../../lib/protocol/conversation.ts'
import type { Host } from '../../../lib/protocol/host.ts'
import { LINE_BYTES_MAX } from '../../../lib/protocol/limits.ts'
import { createHost, Peer } from '../../support/server-session.ts'

const OWN = 'test-host|192.0.2.1|11211'
const OTHERS = ['one|10.0.0.1|11211', 'two|10.0.0.2|11212']

t.test('config get cluster names this node as the peer reached it', async t => {
  const peer = new Peer(createHost())
  const nodes = `1\n${OWN}\n`
  t.equal(
    say(peer, 'config get cluster\r\n'),
    `CONFIG cluster 0 ${nodes.length}\r\n${nodes}\r\nEND\r\n`,
  )
  t.equal(
    say(peer, 'get AmazonElastiCache:cluster\r\n'),
    `VALUE AmazonElastiCache:cluster 0 ${nodes.length}\r\n${nodes}\r\nEND\r\n`,
  )
})

t.test('or the nodes that were set', async t => {
  const host: Host = { ...createHost(), cluster: boardOf(OTHERS, false) }
  const peer = new Peer(host)
  const nodes = `1\n${OTHERS.join(' ')}\n`
  t.equal(
    say(peer, 'config get cluster\r\n'),
    `CONFIG cluster 0 ${nodes.length}\r\n${nodes}\r\nEND\r\n`,
  )
  t.equal(say(peer, 'config get other\r\n'), 'END\r\n')
  const gets = say(peer, 'gets a AmazonElastiCache:cluster AmazonElastiCache:clusteR\r\n')
  t.equal(gets, `VALUE AmazonElastiCache:cluster 0 ${nodes.length} 0\r\n${nodes}\r\nEND\r\n`)
  const many = say(peer, `get${' AmazonElastiCache:cluster'.repeat(5000)}\r\n`)
  t.equal(many.split('VALUE').length, 5001, 'as often as it is asked for')
})

const boardOf = (nodes: string[], isWritable: boolean) =>
  new ClusterBoard(createClusterBoard(nodes, '', isWritable))

t.test('config set cluster, where it is allowed', async t => {
  const cluster = boardOf(OTHERS, true)
  const peer = new Peer({ ...createHost(), cluster })
  const set = (value: string, words = 'cluster 0') =>
    say(peer, `config set ${words} ${value.length}\r\n${value}\r\n`)
  t.equal(set('5\na|10.0.0.1|1 b||2\n'), 'STORED\r\n')
  t.strictSame(cluster.read(), { version: 5, nodes: ['a|10.0.0.1|1', 'b||2'] })
  const nodes = '5\na|10.0.0.1|1 b||2\n'
  t.equal(
    say(peer, 'config get cluster\r\n'),
    `CONFIG cluster 0 ${nodes.length}\r\n${nodes}\r\nEND\r\n`,
  )
  t.equal(set('c||3'), 'STORED\r\n')
  t.strictSame(cluster.read(), { version: 6, nodes: ['c||3'] }, 'the next version')

  t.match(set('6\nd||4\n'), /^CLIENT_ERROR the version has to be above/)
  t.match(set(`${2 ** 31}\nd||4\n`), /^CLIENT_ERROR the version/)
  for (const value of [
    '',
    '7\n',
    'x',
    '7\nd|4',
    '7\nd||4\ne||5\n',
    '7\nd||4 e',
    'd|\x01|4',
    '||1',
  ]) {
    t.match(set(value), /^CLIENT_ERROR nodes have to be/, JSON.stringify(value))
  }
  t.equal(set('7\nd||4', 'other 0'), 'CLIENT_ERROR bad command line format\r\n')
  t.equal(set('x'.repeat(20_000)), 'SERVER_ERROR object too large for cache\r\n')
  t.equal(say(peer, 'config set cluster 0 x\r\n'), 'CLIENT_ERROR bad command line format\r\n')
  t.equal(say(peer, 'config set cluster 0 4\r\nd||45\n'), 'CLIENT_ERROR bad data chunk\r\n')
  t.strictSame(cluster.read(), { version: 6, nodes: ['c||3'] }, 'as before')

  const whole = 'config set cluster 0 7\r\n9\ne||5\n\r\nversion\r\n'
  for (let at = 1; at < whole.length; at++) {
    const cut = new Peer({ ...createHost(), cluster: boardOf(OTHERS, true) })
    t.equal(
      say(cut, whole.slice(0, at)) + say(cut, whole.slice(at)),
      'STORED\r\nVERSION 1.2.3-test\r\n',
    )
  }
})

t.test('many threads read one board, and only a newer version replaces an older one', async t => {
  const handle = createClusterBoard(OTHERS, 'host', true)
  const [a, b] = [new ClusterBoard(handle), new ClusterBoard(handle)]
  t.ok(a.set(2, ['x||1']))
  t.strictSame(b.read(), { version: 2, nodes: ['x||1'] })
  t.notOk(b.set(2, ['y||1']))
  t.ok(b.set(3, []))
  t.strictSame(a.read(), { version: 3, nodes: [] })
})

t.test('the key of the nodes can be stored like any other', async t => {
  const peer = new Peer(createHost())
  const key = 'AmazonElastiCache:cluster'
  t.equal(
    say(peer, `set ${key} 0 0 1\r\nx\r\nget ${key}\r\n`),
    `STORED\r\nVALUE ${key} 0 1\r\nx\r\nEND\r\n`,
  )
})

t.test('the configuration cannot be changed, and the body is discarded', async t => {
  const peer = new Peer(createHost())
  const refusal = 'CLIENT_ERROR the cluster configuration cannot be changed\r\n'
  t.equal(
    say(peer, 'config set cluster 0 9\r\nflush_all\r\nversion\r\n'),
    `${refusal}VERSION 1.2.3-test\r\n`,
  )
  for (const line of [
    'add cluster',
    'incr cluster 1',
    'delete cluster',
    'sub cluster',
    'set',
    'set cluster 0 x',
  ]) {
    t.equal(say(peer, `config ${line}\r\n`), refusal, line)
  }
  for (const line of ['config', 'config get', 'config get cluster x', 'config nonsense']) {
    t.equal(say(peer, `${line}\r\n`), 'ERROR\r\n', line)
  }
})

t.test('shutdown reaches the daemon if it is allowed', async t => {
  const asked: boolean[] = []
  const host = { ...createHost(), shutdown: (graceful: boolean) => asked.push(graceful) }
  t.equal(say(new Peer(host), 'shutdown\r\n'), 'SERVER_ERROR: shutdown not enabled\r\n')
  const allowed = { ...host, allowed: { ...host.allowed, shutdown: true } }
  for (const line of ['shutdown', 'shutdown graceful']) {
    const peer = new Peer(allowed)
    t.equal(say(peer, `${line}\r\nversion\r\n`), '', 'and says no more')
    t.equal(peer.session.state, State.ENDED)
    t.equal(peer.session.closeReason, CloseReason.SHUTDOWN)
  }
  t.equal(say(new Peer(allowed), 'shutdown now\r\n'), 'CLIENT_ERROR invalid shutdown mode\r\n')
  t.same(asked, [false, true])
})

t.test('a dump stops when its peer is gone', async t => {
  const host = createHost()
  const peer = new Peer(host, () => true)
  for (let i = 0; i < 2000; i++) peer.feed(Buffer.from(`set key${i} 0 0 1 noreply\r\nx\r\n`))
  peer.queue(Buffer.from('lru_crawler metadump all\r\n'))
  peer.eat()
  peer.session.close()
  peer.eat()
  t.equal(peer.session.state, State.ENDED)
})

t.test('keys with control characters are encoded wherever keys are listed', async t => {
  const peer = new Peer(createHost())
  const key = '\x1b[2J\x07\x7f:\xc3\xa9'
  const listed = '%1B[2J%07%7F:\xc3\xa9'
  say(peer, 'stats detail on\r\n')
  t.equal(say(peer, `set ${key} 0 0 1\r\n1\r\n`), 'STORED\r\n')
  const classes = Array.from({ length: 10 }, (_, index) => `stats cachedump ${index + 1} 0\r\n`)
  const items = classes.map(command => say(peer, command)).join('')
  t.match(items, `ITEM ${listed} [1 b; 0 s]\r\n`)
  t.match(say(peer, 'stats detail dump\r\n'), 'PREFIX %1B[2J%07%7F get 0 ')
  const dump = say(peer, 'lru_crawler mgdump all\r\n')
  const [, line = ''] = /(mg \S+ b)\r\n/.exec(dump) ?? []
  t.equal(line, `mg ${Buffer.from(key, 'latin1').toString('base64')} b`)
  t.equal(say(peer, `${line} v\r\n`), 'VA 1\r\n1\r\n', 'which finds the item')
  for (const text of [items, dump]) t.notMatch(text.replaceAll(/[\r\n]/g, ''), /\p{Cc}/u)
})

t.test('a watcher that is gone is not counted, and got nothing before', async t => {
  const host = createHost()
  const watcher = new Peer(host)
  watcher.queue(Buffer.from('watch\r\nset a 0 0 1\r\nx\r\nquit\r\n'))
  watcher.eat()
  t.equal(watcher.take().toString(), 'OK\r\n')
  t.equal(watcher.session.state, State.WATCHING)
  const peer = new Peer(host)
  t.equal(say(peer, 'get a\r\n'), 'END\r\n')
  watcher.eat()
  t.match(
    watcher.take().toString(),
    /^ts=\d+\.\d+ gid=1 type=item_get key=a status=not_found clsid=0 cfd=32 size=0\n$/,
  )
  t.ok(host.journal.wanted() > 0)
  watcher.session.close()
  t.equal(host.journal.wanted(), 0)
  say(peer, 'get a\r\n')
})

t.test('lines without an end close the connection, whatever they begin with', async t => {
  for (const words of [
    'watch ',
    'lru_crawler metadump ',
    'config get ',
    'slabs automove ',
    'shutdown ',
  ]) {
    const peer = new Peer(createHost())
    t.equal(say(peer, words + 'x'.repeat(LINE_BYTES_MAX + 1)), '')
    t.equal(peer.session.state, State.ENDED, words)
    t.equal(peer.session.closeReason, CloseReason.ERROR)
  }
})

t.test('many words get the same error as few', async t => {
  const peer = new Peer(createHost())
  for (const verb of [
    'watch',
    'lru_crawler',
    'lru',
    'slabs',
    'cache_memlimit',
    'config',
    'shutdown',
  ]) {
    const reply = say(peer, `${verb}${' x'.repeat(900)}\r\n`)
    t.match(reply, /^(ERROR|CLIENT_ERROR|SERVER_ERROR|MEMLIMIT)[^\r]*\r\n$/, verb)
  }
})

t.test('HTTP closes the connection', async t => {
  for (const line of ['GET / HTTP/1.1\r\n', 'POST /watch HTTP/1.0\r\n', 'config HTTP/1.1\r\n']) {
    const peer = new Peer(createHost())
    const reply = say(peer, line)
    t.equal(reply, line.startsWith('config') ? 'ERROR\r\n' : '')
  }
})

t.test('commands get the same replies however they are cut', async t => {
  const detail = 'stats detail on\r\nget a:1\r\nstats detail dump\r\n'
  const settings = 'slabs automove 1\r\nslabs automove window 7\r\nflush_all 0 x noreply\r\n'
  for (const session of [
    `${detail}config set cluster 0 3\r\nabc\r\n${settings}`,
    // These would be refused while replies wait.
    'lru_crawler mgdump all\r\nget a:1\r\n',
    'lru_crawler metadump 1\r\nget a:1\r\n',
  ]) {
    const whole = say(new Peer(createHost()), session)
    const cut = new Peer(createHost())
    cut.feedPieces(Buffer.from(session), () => 1)
    t.equal(cut.take().toString(), whole)
  }
})

t.test('a number is digits only, and in range', async t => {
  const { say: tell } = speaking()
  const bad = 'CLIENT_ERROR bad command line format\r\n'
  for (const word of ['+1', '\t1', '1\t', '1.0', '-1', '4294967296', '0'.repeat(12)]) {
    t.equal(tell(`verbosity ${word}\r\n`), bad, word)
    t.equal(tell(`lru_crawler tocrawl ${word}\r\n`), bad, word)
    t.equal(tell(`slabs automove window ${word}\r\n`), bad, word)
    t.equal(tell(`cache_memlimit ${word}\r\n`), 'ERROR\r\n', word)
  }
  t.equal(tell('verbosity 00000000000\r\n'), 'OK\r\n')
  t.equal(tell('verbosity\r\n'), bad)
  const badTime = 'CLIENT_ERROR invalid exptime argument\r\n'
  for (const word of ['+1', '2147483648', '-2147483649', '4294967296', '60.5', 'x']) {
    t.equal(tell(`flush_all ${word}\r\n`), badTime, word)
    t.equal(tell(`flush_all ${word} noreply\r\n`), '', word)
  }
})

t.test('flush_all with an exptime that is refused flushes nothing', async t => {
  const { say: tell } = speaking()
  tell('set a 0 0 1\r\nx\r\n')
  tell('flush_all 4102444800\r\n')
  t.equal(tell('get a\r\n'), 'VALUE a 0 1\r\nx\r\nEND\r\n')
  t.equal(tell('flush_all 0 a b\r\n'), 'OK\r\n', 'further words change nothing')
  t.equal(tell('get a\r\n'), 'END\r\n')
})

t.test('noreply as the last word silences, except for commands that always answer', async t => {
  const { say: tell } = speaking()
  for (const words of [
    'lru_crawler enable',
    'lru_crawler crawl all',
    'slabs reassign 1 2',
    'slabs automove 9',
    'lru tune x x x x',
    'cache_memlimit x',
    'verbosity x',
    'shutdown',
    'refresh_certs',
  ]) {
    t.not(tell(`${words}\r\n`), '', words)
    if (words !== 'refresh_certs') t.equal(tell(`${words} noreply\r\n`), '', words)
  }
  t.equal(tell('watch noreply\r\n'), 'ERROR\r\n')
  t.equal(tell('stats noreply\r\n'), 'ERROR\r\n')
  t.equal(tell('verbosity 0 noreply\r\nverbosity 0\r\n'), 'OK\r\n', 'it does not stick')
})

t.test('the window and the ratios of the automover are kept and shown', async t => {
  const { say: tell, shown } = speaking()
  t.equal(shown('slab_automove_window'), '10')
  t.equal(tell('slabs automove window 3\r\n'), 'OK\r\n')
  t.equal(shown('slab_automove_window'), '3')
  for (const window of ['2', '1801']) {
    const refusal = 'CLIENT_ERROR automove window too low or too high\r\n'
    t.equal(tell(`slabs automove window ${window}\r\n`), refusal)
  }
  t.equal(tell('slabs automove window\r\n'), 'CLIENT_ERROR bad command line format\r\n')
  t.equal(tell('slabs automove ratio 0.55\r\n'), 'OK\r\n')
  t.equal(shown('slab_automove_ratio'), '0.55')
  t.equal(shown('slab_automove_freeratio'), '0.010')
  t.equal(tell('slabs automove freeratio 0.5\r\n'), 'OK\r\n')
  t.equal(shown('slab_automove_freeratio'), '0.500')
  t.equal(tell('slabs automove freeratio\r\nslabs automove freeratio x\r\n'), 'ERROR\r\nERROR\r\n')
})

/** A peer of a host with the settings of the automover. */
function speaking() {
  const host = createHost()
  const settings: [string, string | number][] = [
    ['slab_automove_ratio', '0.80'],
    ['slab_automove_window', 10],
    ['slab_automove_freeratio', '0.010'],
  ]
  const peer = new Peer({ ...host, facts: { ...host.facts, settings } })
  const shown = (name: string) =>
    new RegExp(`^STAT ${name} (.*)\r$`, 'm').exec(say(peer, 'stats settings\r\n'))?.[1]
  return { say: (text: string) => say(peer, text), shown }
}

function say(peer: Peer, text: string): string {
  peer.feed(Buffer.from(text, 'latin1'))
  return peer.take().toString('latin1')
}
