// What memcached's newer parser changes for the classic commands: the value of a refused store is
// discarded, NUL is a byte of a key, numbers are digits in range, and extra words change nothing.
// Each session is also cut at every byte.

import t, { type Test } from 'tap'
import { createHost, Peer } from '../support/server-session.ts'

const BAD = 'CLIENT_ERROR bad command line format\r\n'
const BAD_TIME = 'CLIENT_ERROR invalid exptime argument\r\n'
const BAD_DELTA = 'CLIENT_ERROR invalid numeric delta argument\r\n'
const KEY_251 = 'K'.repeat(251)
const STORES = ['set', 'add', 'replace', 'append', 'prepend', 'cas']

/** A value that does harm if it is run as commands. */
const COMMANDS = 'delete victim\r\nflush_all\r\nset victim 0 0 2\r\nno\r\nquit'
const VICTIM = 'set victim 0 0 5\r\nalive\r\n'
const ALIVE = 'VALUE victim 0 5\r\nalive\r\nEND\r\n'

/** Store lines that announce this many bytes and are refused; without the end of the line. */
function refusals(command: string, bytes: number): string[] {
  const cas = command === 'cas' ? ' 1' : ''
  const lines = [
    `${command} ${KEY_251} 0 0 ${bytes}${cas}`,
    `${command} k x 0 ${bytes}${cas}`,
    `${command} k -1 0 ${bytes}${cas}`,
    `${command} k 0 60.5 ${bytes}${cas}`,
    `${command} k 0 18446744073709551616 ${bytes}${cas}`,
    `${command} k 0 x ${bytes}${cas}`,
    `${command} ${KEY_251} x x ${bytes}${cas} a b`,
  ]
  if (command !== 'cas') return lines
  const wrong = [
    '',
    ' x',
    ' -1',
    ' +1',
    ' 1.5',
    ' 18446744073709551616',
    ' 1\0',
    ` ${'0'.repeat(23)}`,
  ]
  return [...lines, ...wrong.map(word => `cas k 0 0 ${bytes}${word}`)]
}

t.test('the value of a refused store is discarded, never run', async t => {
  for (const command of STORES) {
    for (const line of refusals(command, COMMANDS.length)) {
      const value = `\r\n${COMMANDS}\r\n`
      answers(t, `${VICTIM}${line}${value}get victim\r\n`, `STORED\r\n${BAD}${ALIVE}`, line)
      const silent = `${VICTIM}${line} noreply${value}get victim\r\n`
      answers(t, silent, `STORED\r\n${ALIVE}`, `${line} noreply`)
    }
  }
})

t.test('a long value of a refused store is discarded too', async t => {
  const value = `${COMMANDS}\r\n`.repeat(3000).slice(0, -2)
  for (const line of refusals('set', value.length)) {
    const session = `${VICTIM}${line}\r\n${value}\r\nget victim\r\n`
    for (const pieceBytes of [session.length, 1000, 7]) {
      const peer = new Peer(createHost())
      peer.feedPieces(Buffer.from(session, 'latin1'), () => pieceBytes)
      t.equal(peer.take().toString('latin1'), `STORED\r\n${BAD}${ALIVE}`, line.slice(0, 40))
      t.ok(peer.restMax < 4096, 'it is not kept')
    }
  }
})

t.test('a store whose length cannot be read announces nothing', async t => {
  const lengths = [
    '',
    ' -1',
    ' x',
    ' +1',
    ' 1.0',
    ' 1\t',
    ' 4294967296',
    ' 4294967301',
    ' 2147483648',
  ]
  for (const length of lengths.concat([' 9999999999', ` ${'0'.repeat(12)}`])) {
    answers(t, `set k 0 0${length}\r\nget k\r\n`, `${BAD}END\r\n`, length)
    // The error is sent despite noreply.
    answers(t, `set k 0 0${length} noreply\r\nget k\r\n`, `${BAD}END\r\n`, `${length} noreply`)
  }
  answers(t, 'set k 0 0 00000000001\r\na\r\n', 'STORED\r\n')
})

t.test('NUL is a byte of a key like any other', async t => {
  const session = [
    'set tenant 0 0 1\r\na\r\nset tenant\0x 0 0 1\r\nb\r\n',
    'delete tenant\0y\r\ntouch tenant\0y 0\r\nincr tenant\0y 1\r\ngat 0 tenant\0y\r\n',
    'get tenant\0x tenant\r\nmg tenant\0x v\r\ndelete tenant\0x\r\nget tenant tenant\0x\r\n',
  ]
  const a = 'VALUE tenant 0 1\r\na\r\n'
  answers(
    t,
    session.join(''),
    'STORED\r\nSTORED\r\nNOT_FOUND\r\nNOT_FOUND\r\nNOT_FOUND\r\nEND\r\n' +
      `VALUE tenant\0x 0 1\r\nb\r\n${a}END\r\nVA 1\r\nb\r\nDELETED\r\n${a}END\r\n`,
  )
  answers(t, 'version\0x\r\nquit\0\r\nmn\0\r\n', 'ERROR\r\nERROR\r\nERROR\r\n')
})

t.test('times of 2^31 and more are refused, and change nothing', async t => {
  const set = 'set k 0 0 1\r\na\r\n'
  const hit = 'VALUE k 0 1\r\na\r\nEND\r\n'
  const words = ['2147483648', '4102444800', '4294967296', '-2147483649', '+1', '60.5', '\t1']
  for (const time of [...words, `0${'0'.repeat(11)}`]) {
    answers(t, `${set}touch k ${time}\r\nget k\r\n`, `STORED\r\n${BAD_TIME}${hit}`, time)
    answers(t, `${set}touch k ${time} noreply\r\nget k\r\n`, `STORED\r\n${hit}`, time)
    answers(t, `${set}gat ${time} k\r\nget k\r\n`, `STORED\r\n${BAD_TIME}${hit}`, time)
    answers(t, `${set}flush_all ${time}\r\nget k\r\n`, `STORED\r\n${BAD_TIME}${hit}`, time)
    const token = 'CLIENT_ERROR bad token in command line format\r\n'
    for (const letter of ['T', 'N', 'R']) {
      answers(
        t,
        `${set}mg k ${letter}${time}\r\nget k\r\n`,
        `STORED\r\n${token}${hit}`,
        letter + time,
      )
    }
  }
  answers(t, `${set}touch k 2147483647\r\nget k\r\n`, `STORED\r\nTOUCHED\r\n${hit}`)
  answers(t, `${set}touch k -\r\nget k\r\n`, `STORED\r\nTOUCHED\r\n${hit}`, 'a lone minus is 0')
})

t.test('deltas and CAS numbers are digits in the range of 64 bits', async t => {
  for (const word of [
    '+1',
    '-1',
    '-0',
    '\t1',
    '1\t',
    '18446744073709551616',
    '1'.repeat(23),
    'x',
  ]) {
    answers(t, `incr n ${word}\r\ndecr n ${word}\r\n`, BAD_DELTA + BAD_DELTA, word)
    answers(t, `cas n 0 0 1 ${word}\r\na\r\n`, BAD, word)
  }
  answers(
    t,
    'incr n 18446744073709551615\r\nincr n 0018446744073709551615\r\n',
    'NOT_FOUND\r\n'.repeat(2),
  )
})

t.test('extra words change nothing', async t => {
  answers(
    t,
    'set e 0 0 1 a b\r\nx\r\nset n 0 0 1 noreply c\r\n1\r\nincr n 1 0 0\r\ntouch n 0 a b\r\n',
    'STORED\r\nSTORED\r\n2\r\nTOUCHED\r\n',
  )
  answers(t, 'verbosity 0 1 2\r\nflush_all 100 a b\r\n', 'OK\r\nOK\r\n')
  const many = ' a'.repeat(40)
  answers(t, `set e 0 0 1${many}\r\nx\r\ndelete e 0${many}\r\n`, 'STORED\r\nDELETED\r\n')
})

t.test('a delete may have a time, and no other word', async t => {
  const set = 'set k 0 0 1\r\na\r\n'
  for (const words of ['0', '5', '60', '0 noreply x', 'noreply x', '5 6']) {
    answers(t, `${set}delete k ${words}\r\nget k\r\n`, 'STORED\r\nDELETED\r\nEND\r\n', words)
  }
  for (const words of ['noreply', '5 noreply', '0 noreply', 'noreply noreply']) {
    answers(t, `${set}delete k ${words}\r\nget k\r\n`, 'STORED\r\nEND\r\n', words)
  }
  const usage = 'CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n'
  answers(t, `delete a b\r\ndelete a b c d e\r\n`, usage + usage)
  answers(t, `delete ${KEY_251} 5\r\ndelete\r\n`, BAD + BAD)
})

t.test('missing words are an error', async t => {
  const lines = [
    'get',
    'gets',
    'gat',
    'gat 0',
    'gats 0',
    'gat x',
    'touch',
    'touch k',
    'incr',
    'incr k',
  ]
  for (const line of [...lines, 'delete', 'set', 'set k', 'set k 0 0', 'cas k 0 0', 'verbosity']) {
    answers(t, `${line}\r\n`, BAD, line)
    answers(t, `${line} \r\n`, BAD, `${line} and a space`)
  }
  for (const line of ['mg', 'ms', 'md', 'ma', 'me', 'ms k']) answers(t, `${line}\r\n`, BAD, line)
})

t.test('noreply as the last word suppresses errors, even of unknown commands', async t => {
  for (const line of [
    'foo',
    'foo bar',
    'touch k x',
    'incr k x',
    'delete k',
    'set k x 0 0',
    'bget k',
  ]) {
    answers(t, `${line} noreply\r\n${line.startsWith('set') ? '\r\n' : ''}mn\r\n`, 'MN\r\n', line)
  }
  answers(t, 'foo noreply\r\nfoo\r\n', 'ERROR\r\n', 'and no other line')
  answers(
    t,
    'incr k x noreply\r\nma k D\r\nmg k !\r\n',
    `CLIENT_ERROR invalid or duplicate flag\r\n${BAD}`,
  )
  answers(t, 'version noreply\r\nget k noreply\r\n', `VERSION ${createHost().version}\r\nEND\r\n`)
})

t.test('a line starts with its command and has at least four bytes', async t => {
  answers(t, ' get k\r\n mn\r\n version\r\n flush_all\r\n', 'ERROR\r\nERROR\r\nERROR\r\nOK\r\n')
  answers(t, '\r\n\nx\r\nmn\nxx\r\nmn\r\n', `${BAD.repeat(4)}ERROR\r\nMN\r\n`)
  const long = `${' '.repeat(90)}get${' k'.repeat(2000)}\r\n`
  answers(t, `${long}mn\r\n`, 'ERROR\r\nMN\r\n', 'a long one')
})

t.test('mg with the CAS of an item reports an unchanged value', async t => {
  const value = 'v'.repeat(50_000)
  answers(
    t,
    `ms k 50000 E7\r\n${value}\r\nmg k v C7\r\nmg k C7 c s v\r\nmg k v C8 c\r\nmg none v C7\r\n`,
    `HD\r\nHD\r\nHD c7 s50000\r\nVA 50000 c7\r\n${value}\r\nEN\r\n`,
  )
})

t.test('a flag that starts with no letter or digit is a format error', async t => {
  for (const flag of ['!', '{', '\xff', '\0', '\t', '=1']) {
    const words = JSON.stringify(flag)
    answers(
      t,
      `mg k v ${flag}\r\nmd k ${flag}\r\nma k ${flag}\r\nme k ${flag}\r\n`,
      BAD.repeat(4),
      words,
    )
    answers(
      t,
      `${VICTIM}ms k 15 ${flag}\r\ndelete victim\r\n\r\nget victim\r\n`,
      `STORED\r\n${BAD}${ALIVE}`,
    )
  }
})

/** Checks the replies of a session, whole and cut at every byte. */
function answers(t: Test, session: string, wanted: string, name = ''): void {
  const bytes = Buffer.from(session, 'latin1')
  const whole = new Peer(createHost())
  whole.feed(bytes)
  t.equal(whole.take().toString('latin1'), wanted, JSON.stringify(name.slice(0, 60)))
  const cut = new Peer(createHost())
  cut.feedPieces(bytes, () => 1)
  const pieces = cut.take().toString('latin1')
  if (pieces !== wanted) t.equal(pieces, wanted, `${name.slice(0, 60)}, byte by byte`)
}
