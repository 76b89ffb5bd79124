// Access control attacked, without sockets: every command of every protocol by every kind of user,
// quiet and pipelined, and random streams cut anywhere against a plain model, with the file
// replaced in between. A denied request changes nothing, and the stream stays in step.

import t, { type Test } from 'tap'
import type { Desk } from '../../../lib/access/pass.ts'
import type { Host } from '../../../lib/protocol/host.ts'
import { createDesk, guardedHost } from '../../support/access.ts'
import { frame, Op, parseFrames } from '../../support/binary-frames.ts'
import { announceSeed, createRandom, type Random } from '../../support/prng.ts'
import { runs } from '../../support/runs.ts'
import { createHost, Peer } from '../../support/server-session.ts'

const seed = announceSeed(t)

const UNAUTHENTICATED = 'CLIENT_ERROR unauthenticated\r\n'
const UNAUTHORIZED = 'CLIENT_ERROR unauthorized\r\n'
const NO_TOKEN = 'CLIENT_ERROR bad authentication token format\r\n'

const hosts = [createHost(), createHost()]
let turn = 0

// ---- the table, written apart from the one of the daemon

const R = 1
const W = 2
const A = 4
/** `K` is a key in what follows. */
const TEXT: readonly (readonly [line: string, needs: number])[] = [
  ['get K', R],
  ['gets K', R],
  ['gat 0 K', R | W],
  ['gats 0 K', R | W],
  ['set K 0 0 2\r\n12', W],
  ['set K 0 0 6000\r\n'.concat('x'.repeat(6000)), W],
  ['add K 0 0 2\r\n12', W],
  ['replace K 0 0 2\r\n12', W],
  ['append K 0 0 2\r\n12', W],
  ['prepend K 0 0 2\r\n12', W],
  ['cas K 0 0 2 1\r\n12', W],
  ['incr K 1', R | W],
  ['decr K 1', R | W],
  ['touch K 0', W],
  ['delete K', W],
  ['mg K v', R],
  ['mg K', R],
  ['mg K t f c s k O1 q v', R],
  ['mg K T30 v', R | W],
  ['mg K N30 v', R | W],
  ['mg K R30 v', R | W],
  ['me K', R],
  ['ms K 2\r\n12', W],
  ['ms K 2 MA\r\n12', W],
  ['ms K 2 q O7\r\n12', W],
  ['ms K 2 C1\r\n12', W],
  ['ms K 2 I\r\n12', W],
  ['md K', W],
  ['md K q', W],
  ['md K I T30', W],
  ['md K x', W],
  ['ma K', R | W],
  ['ma K q', R | W],
  ['ma K N30 J5 v', R | W],
]
const TEXT_WITHOUT_KEY: readonly (readonly [line: string, needs: number])[] = [
  ['version', 0],
  ['mn', 0],
  ['nonsense', 0],
  ['stats', R],
  ['stats items', R],
  ['stats slabs', R],
  ['stats sizes', R],
  ['stats memslab', R],
  ['stats latency', R],
  ['stats mrc', R],
  ['stats settings', A],
  ['stats conns', A],
  ['stats hotkeys', A],
  ['stats prefix', A],
  ['stats reset', A],
  ['stats detail on', A],
  ['stats detail dump', A],
  ['stats detail off', A],
  ['stats cachedump 1 1', A],
  ['config get cluster', R],
  ['config set cluster 0 9\r\nget K get', A],
  ['config set verbosity 0', A],
  ['flush_all', A],
  [' flush_all', A],
  ['flush_all 10', A],
  ['verbosity 0', A],
  ['lru_crawler enable', A],
  ['lru_crawler metadump all', A],
  ['lru_crawler mgdump all', A],
  ['lru_crawler crawl all', A],
  ['lru tune 10 25 0.1 2.0', A],
  ['slabs automove 1', A],
  ['slabs reassign 1 2', A],
  ['cache_memlimit 64', A],
  ['refresh_certs', A],
  ['snapshot', A],
  ['watch fetchers', A],
  ['shutdown', A],
]
const BINARY: readonly (readonly [name: keyof typeof Op, needs: number])[] = [
  ['GET', R],
  ['GETQ', R],
  ['GETK', R],
  ['GETKQ', R],
  ['GAT', R | W],
  ['GATQ', R | W],
  ['GATK', R | W],
  ['GATKQ', R | W],
  ['TOUCH', W | R],
  ['SET', W],
  ['SETQ', W],
  ['ADD', W],
  ['ADDQ', W],
  ['REPLACE', W],
  ['REPLACEQ', W],
  ['APPEND', W],
  ['APPENDQ', W],
  ['PREPEND', W],
  ['PREPENDQ', W],
  ['DELETE', W],
  ['DELETEQ', W],
  ['INCR', R | W],
  ['INCRQ', R | W],
  ['DECR', R | W],
  ['DECRQ', R | W],
  ['FLUSH', A],
  ['FLUSHQ', A],
  ['NOOP', 0],
  ['VERSION', 0],
]

/** Every set of categories, with all keys and with some. */
const USERS = Array.from({ length: 16 }, (_, i) => {
  return { name: `u${i}`, categories: i & 7, prefixes: i < 8 ? [] : ['own:', 'also:'] }
})
type User = (typeof USERS)[number]
const KEYS = ['own:k', 'other', 'also:', 'own', 'ow', 'xown:k', 'own:k2']

function fileOf(users: readonly User[], everybody = ''): string {
  const lines = users.map(({ name, categories, prefixes }) => {
    const words = [categories & R ? '+read' : '', categories & W ? '+write' : '']
    const rights = [...words, categories & A ? '+admin' : '', ...prefixes.map(word => `~${word}`)]
    return `user ${name} cert=${name} ${rights.join(' ')}`
  })
  return [`user default ${everybody}`, ...lines].join('\n')
}

function mayKey({ categories, prefixes }: User, needs: number, key: string): boolean {
  const isKey = prefixes.length === 0 || prefixes.some(prefix => key.startsWith(prefix))
  return (needs & ~categories) === 0 && isKey
}

// ---- every command by every user

t.test('text and meta: every command by every user', async t => {
  const { desk } = createDesk(fileOf(USERS))
  for (const user of USERS) {
    for (const key of ['own:k', 'other']) {
      for (const [line, needs] of TEXT) {
        checkText(t, desk, user, line.replace('K', key), mayKey(user, needs, key))
      }
    }
    for (const [line, needs] of TEXT_WITHOUT_KEY) {
      checkText(t, desk, user, line, (needs & ~user.categories) === 0)
    }
  }
})

/** Runs a command between two markers, and beside it without access control. */
function checkText(t: Test, desk: Desk, user: User, line: string, isAllowed: boolean) {
  // What is watched never ends.
  if (isAllowed && line.startsWith('watch')) return
  const host = cleanHost()
  const before = contentOf(host)
  const peer = new Peer(guardedHost(host, desk, user.name))
  const reply = say(peer, `${line}\r\nmn\r\n`)
  const name = `${user.name} ${line.slice(0, 40)}`
  if (!isAllowed) {
    t.equal(reply, `${UNAUTHORIZED}MN\r\n`, name)
    t.equal(contentOf(host), before, `${name} changes nothing`)
  } else {
    t.notMatch(reply, /unauth/, name)
  }
}

t.test('noreply silences a denial, and its value is swallowed', async t => {
  const { desk } = createDesk(fileOf(USERS))
  for (const line of [
    'set K 0 0 5 noreply\r\nget K',
    'add K 0 0 9000 noreply\r\n'.concat('mn\r\n '.repeat(1800)),
    'delete K noreply',
    'incr K 1 noreply',
    'touch K 0 noreply',
    'flush_all noreply',
    'verbosity 1 noreply',
  ]) {
    const host = cleanHost()
    const before = contentOf(host)
    for (const certificate of ['u0', undefined]) {
      const peer = new Peer(guardedHost(host, desk, certificate))
      t.equal(say(peer, `${line.replace('K', 'own:k')}\r\nmn\r\n`), 'MN\r\n', line.slice(0, 30))
    }
    t.equal(contentOf(host), before)
  }
})

t.test('a get of many keys is denied as a whole', async t => {
  const { desk } = createDesk(fileOf(USERS))
  const peer = new Peer(guardedHost(cleanHost(), desk, 'u9'))
  t.equal(say(peer, 'get own:k own:k2\r\n').split('VALUE').length, 3)
  for (const keys of [
    'own:k other',
    'other own:k',
    'own:k own:k2 other also:',
    `own:k ${'own:k2 '.repeat(900)}other`,
  ]) {
    t.equal(say(peer, `get ${keys} own:k\r\nmn\r\n`), `${UNAUTHORIZED}MN\r\n`, keys.slice(0, 30))
    t.equal(say(peer, `gat 0 ${keys}\r\nmn\r\n`), `${UNAUTHORIZED}MN\r\n`, 'gat')
  }
})

t.test('keys in base64 are compared as what they are', async t => {
  const { desk } = createDesk(fileOf(USERS))
  const peer = new Peer(guardedHost(cleanHost(), desk, 'u11'))
  const base64 = (key: string) => Buffer.from(key).toString('base64')
  t.match(say(peer, `mg ${base64('own:k')} b v\r\n`), /^VA 2/)
  t.equal(say(peer, `mg ${base64('other')} b v\r\n`), UNAUTHORIZED)
  t.equal(say(peer, `ms ${base64('other')} 2 b\r\n12\r\n`), UNAUTHORIZED)
  t.equal(say(peer, `me ${base64('other')} b\r\n`), UNAUTHORIZED)
  // It begins with the prefix only while it is text.
  const posing = Buffer.from(base64('own:')).toString()
  t.equal(say(peer, `mg ${posing} v\r\n`), UNAUTHORIZED)
})

t.test('binary: every opcode by every user, quiet or not', async t => {
  const { desk } = createDesk(fileOf(USERS))
  for (const user of USERS) {
    for (const key of ['own:k', 'other']) {
      for (const [name, needs] of BINARY) {
        const hasKey = !['FLUSH', 'FLUSHQ', 'NOOP', 'VERSION'].includes(name)
        const may = hasKey ? mayKey(user, needs, key) : (needs & ~user.categories) === 0
        checkFrame(t, desk, user, frameOf(name, hasKey ? key : ''), may)
      }
    }
    for (const report of ['', 'items', 'slabs', 'sizes']) {
      const may = (user.categories & R) !== 0
      checkFrame(t, desk, user, frame(Op.STAT, { key: report }), may)
    }
    for (const report of ['settings', 'reset', 'detail on', 'detail dump', 'hotkeys', 'resetx']) {
      const may = (user.categories & A) !== 0
      checkFrame(t, desk, user, frame(Op.STAT, { key: report }), may)
    }
  }
})

function checkFrame(t: Test, desk: Desk, user: User, sent: string, isAllowed: boolean) {
  const name = `${user.name} ${Buffer.from(sent.slice(0, 60), 'latin1').toString('hex')}`
  const host = cleanHost()
  const before = contentOf(host)
  const peer = new Peer(guardedHost(host, desk, user.name))
  const { responses, rest } = parseFrames(say(peer, sent + frame(Op.NOOP)))
  t.equal(rest, '')
  t.equal(responses.at(-1)?.opcode, Op.NOOP, `${name} in step`)
  const denied = responses.filter(({ status }) => status === 0x20)
  t.equal(denied.length, isAllowed ? 0 : 1, name)
  if (isAllowed) return
  t.equal(responses.length, 2, `${name} and no other answer`)
  t.equal(contentOf(host), before, `${name} changes nothing`)
}

function frameOf(name: keyof typeof Op, key: string): string {
  const extras = Buffer.alloc(/^(INCR|DECR)/.test(name) ? 20 : 0)
  if (/^(SET|ADD|REPLACE)/.test(name))
    return frame(Op[name], { key, extras: '\0'.repeat(8), value: '12'.repeat(3000) })
  if (/^(APP|PRE)/.test(name)) return frame(Op[name], { key, value: '12' })
  if (/^(GAT|TOUCH)/.test(name)) return frame(Op[name], { key, extras: '\0\0\0\0' })
  return frame(Op[name], { key, extras: extras.toString('latin1') })
}

// ---- log-ins by session: tokens and passwords are tested with a daemon

t.test('without a log-in, text has the rights of the user default', async t => {
  const { desk } = createDesk(fileOf(USERS, '+read ~own:'))
  const host = cleanHost()
  const peer = new Peer(guardedHost(host, desk))
  t.match(say(peer, 'get own:k\r\n'), /^VALUE own:k/)
  t.equal(say(peer, 'get other\r\nmn\r\n'), `${UNAUTHENTICATED}MN\r\n`)
  t.equal(say(peer, 'delete own:k\r\nflush_all\r\nmn\r\n'), `${UNAUTHENTICATED.repeat(2)}MN\r\n`)
  t.equal(
    say(peer, 'set own:k 0 0 7\r\nget_own\r\nmn\r\n'),
    `${NO_TOKEN}MN\r\n`,
    'a set is a log-in',
  )
  t.equal(say(peer, 'add own:k 0 0 5\r\nmn\r\nx\r\nmn\r\n'), `${UNAUTHENTICATED}MN\r\n`)
})

t.test('a set of a key that the user default may write is a set', async t => {
  const { desk } = createDesk(fileOf(USERS, '+read +write ~own:'))
  const peer = new Peer(guardedHost(cleanHost(), desk))
  t.equal(
    say(peer, 'set own:k 0 0 9\r\nname word\r\nget own:k\r\n'),
    'STORED\r\nVALUE own:k 0 9\r\nname word\r\nEND\r\n',
  )
})

t.test('the file is replaced: rights change at once, a user that is gone is nobody', async t => {
  const { desk, post } = createDesk('user a cert=a +read\nuser default')
  const peer = new Peer(guardedHost(cleanHost(), desk, 'a'))
  t.match(say(peer, 'get other\r\n'), /^VALUE/)
  post('user a cert=a +write ~own:\nuser default +read')
  t.equal(
    say(peer, 'get other\r\nset other 0 0 1\r\nx\r\nset own:k 0 0 1\r\nx\r\n'),
    `${UNAUTHORIZED.repeat(2)}STORED\r\n`,
  )
  post('user b cert=a +read +write\nuser default +read')
  t.equal(say(peer, 'get own:k\r\n'), UNAUTHENTICATED)
  t.equal(peer.session.pass?.isOver, true, 'and its connection is closed')
  post('user a cert=a +read')
  t.equal(say(peer, 'get own:k\r\n'), UNAUTHENTICATED, 'for good')
})

// ---- random streams against the model

t.test('random text streams, cut anywhere, while the file changes', async t => {
  const rounds = runs(60, 1500)
  for (let part = 0; part < rounds; part++) {
    const random = createRandom(seed, part)
    if (!runRandom(t, random, part)) return
  }
})

function runRandom(t: Test, random: Random, part: number): boolean {
  const plain = cleanHost()
  const host = cleanHost()
  let user = randomUser(random)
  const isNobody = random.once(4)
  const file = () =>
    isNobody ? rightsLine('default', user) : `user me cert=me ${rightsLine('', user)}`
  const { desk, post } = createDesk(file())
  const peer = new Peer(guardedHost(host, desk, isNobody ? undefined : 'me'))
  const twin = new Peer(plain)
  for (let batch = 0; batch < 6; batch++) {
    let sent = ''
    let wanted = ''
    for (let i = 0; i < 25; i++) {
      const { text, reply } = randomCommand(random, user, isNobody)
      sent += text
      wanted += reply ?? say(twin, text)
    }
    peer.feedPieces(Buffer.from(sent, 'latin1'), () => 1 + random.below(random.once(3) ? 20 : 3000))
    const got = peer.take().toString('latin1')
    if (got !== wanted) {
      t.equal(got, wanted, `part ${part}, batch ${batch}`)
      return false
    }
    user = randomUser(random)
    post(file())
  }
  t.equal(contentOf(host), contentOf(plain), `part ${part}`)
  return true
}

/** A command, and its reply where it is denied. */
function randomCommand(
  random: Random,
  user: User,
  isNobody: boolean,
): { text: string; reply?: string } {
  const denial = isNobody ? UNAUTHENTICATED : UNAUTHORIZED
  if (random.once(8)) {
    const [line, needs] = random.pick(SILENT)
    const may = (needs & ~user.categories) === 0
    return may ? { text: `${line}\r\n` } : { text: `${line}\r\n`, reply: denial }
  }
  if (random.once(4)) {
    const keys = Array.from({ length: random.between(2, 6) }, () => random.pick(KEYS))
    const may = keys.every(key => mayKey(user, R, key))
    const text = `${random.pick(['get', 'gets'])} ${keys.join(' ')}\r\n`
    return may ? { text } : { text, reply: denial }
  }
  const key = random.pick(KEYS)
  const verb = random.pick([
    'set',
    'add',
    'append',
    'ms',
    'incr',
    'delete',
    'touch',
    'mg',
    'md',
    'get',
  ])
  const noreply = random.once(4) ? ' noreply' : ''
  const value = random.pick(['x', '12', 'get_own:k\r\n', 'mn\r\n', 'y'.repeat(random.below(9000))])
  const needs = { incr: R | W, mg: R, get: R }[verb] ?? W
  const may = mayKey(user, needs, key)
  const silent = (text: string) => (may ? { text } : { text, reply: '' })
  const spoken = (text: string) => (may ? { text } : { text, reply: denial })
  switch (verb) {
    case 'set':
    case 'add':
    case 'append': {
      const text = `${verb} ${key} 0 0 ${value.length}${noreply}\r\n${value}\r\n`
      if (noreply !== '') return silent(text)
      // It would log in, and has no name and no password.
      if (!may && isNobody && verb === 'set') return setAsLogIn(text, value)
      return spoken(text)
    }
    case 'ms':
      return spoken(`ms ${key} ${value.length} ${random.pick(['q', 'c', 'k O1'])}\r\n${value}\r\n`)
    case 'mg':
      return spoken(`mg ${key} ${random.pick(['v', 'q v', 't f'])}\r\n`)
    case 'md':
      return spoken(`md ${key} ${random.pick(['q', ''])}\r\n`)
    case 'incr':
      return noreply === '' ? spoken(`incr ${key} 1\r\n`) : silent(`incr ${key} 1 noreply\r\n`)
    case 'touch':
      return noreply === '' ? spoken(`touch ${key} 0\r\n`) : silent(`touch ${key} 0 noreply\r\n`)
    case 'delete':
      return noreply === '' ? spoken(`delete ${key}\r\n`) : silent(`delete ${key} noreply\r\n`)
    default:
      return spoken(`get ${key}\r\n`)
  }
}

function setAsLogIn(text: string, value: string) {
  // Above this it is too long to be right, and counts as a failed log-in.
  return value.length > 2048 ? { text: '', reply: '' } : { text, reply: NO_TOKEN }
}

const SILENT = [
  ['verbosity 0', A],
  ['lru_crawler sleep 10', A],
  ['version', 0],
  ['mn', 0],
] as const

function randomUser(random: Random): User {
  const prefixes = random.once(3) ? [] : ['own:', ...(random.once(2) ? ['also:'] : [])]
  return { name: 'me', categories: random.below(8), prefixes }
}

function rightsLine(name: string, { categories, prefixes }: User): string {
  const words = [
    categories & R ? '+read' : '',
    categories & W ? '+write' : '',
    categories & A ? '+admin' : '',
  ]
  const rights = [...words, ...prefixes.map(word => `~${word}`)].join(' ')
  return name === '' ? rights : `user ${name} ${rights}`
}

// ---- hosts

/** One of two hosts, with the same few items in it. */
function cleanHost(): Host {
  const host = hosts[turn++ % hosts.length] as Host
  const peer = new Peer(host)
  say(peer, 'lru_crawler enable\r\nverbosity 0\r\nflush_all\r\n')
  for (const key of KEYS) say(peer, `delete ${key}\r\nset ${key} 0 0 2\r\n10\r\n`)
  return host
}

/** What the keys have, and settings that commands change. */
function contentOf(host: Host): string {
  const peer = new Peer(host)
  const items = KEYS.map(key => say(peer, `mg ${key} v f t\r\n`))
  return [...items, ...host.control, host.cache.memoryLimitBytes()].join(' ')
}

function say(peer: Peer, text: string): string {
  peer.feed(Buffer.from(text, 'latin1'))
  return peer.take().toString('latin1')
}
