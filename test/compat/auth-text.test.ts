/**
 * Authentication of text connections (-Y): the same steps to memcached and to memslab, each sent
 * after the one before was answered. Each script uses its own loopback address, so that the
 * failures of one do not delay another.
 *
 * What newer releases answer is in cases/newer-auth.ts. Not compared, because they differ on
 * purpose: memcached 1.6.18 splits a claim into words, where newer releases and memslab take
 * everything after the first space as the password. Of several answers in one write it sends only
 * the last.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startDaemon } from '../support/daemon.ts'
import type { Pair } from '../support/differential.ts'
import { skipWithout, startOracle } from '../support/oracle.ts'
import type { ServerProcess } from '../support/process.ts'
import { talkToBoth } from '../support/talk.ts'
import { Wire } from '../support/wire.ts'
import { authRows } from './cases/newer-auth.ts'

const SKIP = { skip: skipWithout('memcached') }
const START_MS_MAX = 10_000
const RIGHT = 'set x 0 0 9\r\nuser pass\r\n'
const WRONG = 'set x 0 0 9\r\nuser nope\r\n'
const FILE = 'user:pass\nann:with:colons\r\n:nameless\nempty:\nlast:line without an end'

// They run side by side, each with its own keys. None stores x.
const SCRIPTS: Record<string, string[]> = {
  'a right claim': [RIGHT, 'get x\r\n', 'set a 0 0 1\r\nx\r\n', 'get a\r\n'],
  'pipelined behind a right claim': [`${RIGHT}set y 0 0 1\r\nx\r\nget y\r\ndelete y\r\n`],
  'a wrong claim, then a right one': [WRONG, 'get x\r\n', RIGHT, 'get x\r\n'],
  'nothing is stored before': ['set z 0 0 5\r\nhello\r\n', RIGHT, 'get z x\r\n'],
  'a claim after the first is a set': [RIGHT, 'set b 0 0 9\r\nuser nope\r\n', 'get b\r\n'],
  'colons in the password': ['set x 0 0 15\r\nann with:colons\r\n', 'get x\r\n'],
  'the name ends at the first colon': ['set x 0 0 15\r\nann:with colons\r\n', 'get x\r\n'],
  'another user': ['set x 0 0 9\r\nuser with\r\n', 'set x 0 0 8\r\nann pass\r\n', 'get x\r\n'],
  'part of a password': ['set x 0 0 8\r\nuser pas\r\n', 'set x 0 0 10\r\nuser passs\r\n'],
  'a line end in the password': ['set x 0 0 10\r\nuser pass\r\r\n', 'get x\r\n'],
  'no password': ['set x 0 0 4\r\nuser\r\n', 'get x\r\n', RIGHT],
  'an empty claim': ['set x 0 0 0\r\n\r\n', 'get x\r\n', RIGHT],
  'a claim without its line end': ['set x 0 0 9\r\nuser passXX', 'get x\r\n', RIGHT],
  'a claim with another line end': ['set x 0 0 9\r\nuser pass\n\n', 'get x\r\n', RIGHT],
  'a claim in pieces': ['set x 0 0', ' 9\r\nus', 'er pass', '\r', '\n', 'get x\r\n'],
  'a line with \\n alone': ['set x 0 0 9\nuser pass\r\n', 'get x\r\n'],
  'other words of the line': ['set x a b 9 c noreply\r\nuser pass\r\n', 'get x\r\n'],
  'a long key': [`set ${'k'.repeat(300)} 0 0 9\r\nuser pass\r\n`, 'get x\r\n'],
  'blanks before the line': ['  set x  0 0 9\r\nuser pass\r\n', 'get x\r\n'],
  'a NUL in the line': ['set x 0 0 9\0 junk\r\nuser pass\r\n', 'get x\r\n'],
  'a NUL in the verb': ['set\0 x 0 0 9\r\n', 'get x\r\n'],
  'few words': ['set x 0 0\r\n', 'set\r\n', 'set x 0 0 \r\n', RIGHT],
  'numbers that are none': ['set x 0 0 9x\r\n', 'set x 0 0 -1\r\n'],
  'other commands': ['get x\r\n', 'add x 0 0 9\r\n', 'SET x 0 0 9\r\n', 'version\r\n', 'stats\r\n'],
  'numbers with a sign': ['set x 0 0 +9\r\n', RIGHT],
  'lines of HTTP': ['GET / HTTP/1.1\r\n', 'Host: x\r\n', RIGHT],
  'quit ends it': ['quit\r\n', 'mn\r\n', RIGHT],
  'a line of five bytes ends it': ['abcd\r\n', RIGHT],
  'a line of six bytes is refused': ['abcde\r\n', RIGHT],
  'one byte is no line': ['\n', '\n'],
  'an empty line': ['\r\n', RIGHT],
  'a line of 2048 bytes without an end': ['x'.repeat(2048), '\n', RIGHT],
  'a line of 2049 bytes without an end': ['x'.repeat(2049), RIGHT],
  'a long line': [`${'x'.repeat(5000)}\n`, RIGHT],
  'a binary frame': [`\x80\x0b${'\0'.repeat(22)}`, '\n', RIGHT],
  'a claim of 16 KiB and one byte': ['set x 0 0 16385\r\n', RIGHT],
  'a claim of 2^32-1': ['set x 0 0 4294967295\r\n', RIGHT],
  'a claim of 2^32 and 9': ['set x 0 0 4294967305\r\n', RIGHT],
  'a claim in the second half of a frame': [`\x80\x0b${'\0'.repeat(22)}\r\n`, RIGHT, 'get x\r\n'],
}

t.test('claims get the same answers', SKIP, async t => {
  const pair = await startBoth(t, FILE)
  const found = await Promise.all(
    Object.entries(SCRIPTS).map(([name, steps], index) =>
      talkToBoth<string>(pair, steps, `127.0.1.${index + 1}`, read, authRows[name]),
    ),
  )
  for (const [index, name] of Object.keys(SCRIPTS).entries()) {
    const newer = authRows[name]
    t.same(found[index].daemon, newer ?? found[index].oracle, name)
    if (newer !== undefined) t.notSame(newer, found[index].oracle, `${name} needs its row`)
  }
  t.same(
    Object.keys(authRows).filter(name => !(name in SCRIPTS)),
    [],
  )
})

t.test('password files are read alike', SKIP, async t => {
  const claims = ['user pass', 'two 2', 'a b:c', 'a:b c', 'user pass\r', 'x y', 'two 1']
  const files = {
    plain: 'user:pass\ntwo:2\n',
    'without a last line end': 'user:pass\ntwo:2',
    'of DOS': 'user:pass\r\ntwo:2\r\n',
    odd: ':nameless\nempty:\na:b:c\nuser:pass\rx\n',
    empty: '',
    'with a user twice': 'two:1\ntwo:2\nuser:pass\n',
  }
  for (const [name, file] of Object.entries(files)) {
    const pair = await startBoth(t, file)
    const found = await Promise.all(
      claims.map((text, index) => talkToBoth(pair, [claim(text)], `127.0.2.${index + 1}`, read)),
    )
    for (const [index, text] of claims.entries()) {
      t.same(found[index].daemon, found[index].oracle, `${name}: ${JSON.stringify(text)}`)
    }
    await Promise.all([pair.oracle.stop(), pair.daemon.stop()])
  }
})

function claim(text: string): string {
  return `set x 0 0 ${text.length}\r\n${text}\r\n`
}

async function startBoth(t: Test, file: string): Promise<Pair> {
  const path = join(t.testdir({}), 'users')
  writeFileSync(path, file, { mode: 0o644 })
  const [oracle, daemon] = await Promise.all([
    startOracle(t, ['-Y', path]),
    startDaemon(t, ['-t', '2', '-Y', path]),
  ])
  await Promise.all([oracle, daemon].map(warmUp))
  return { oracle, daemon }
}

/** Waits for every thread to answer: a server accepts before all threads have started. */
async function warmUp({ port }: ServerProcess): Promise<void> {
  const wires = await Promise.all(Array.from({ length: 8 }, () => Wire.connect(port)))
  for (const wire of wires) wire.send(Buffer.from('nonsense\r\n'))
  await Promise.all(wires.map(wire => wire.readUntil(Buffer.from('\r\n'), START_MS_MAX)))
  for (const wire of wires) wire.close()
}

function read(bytes: Buffer): string {
  return normalise(bytes.toString('latin1'))
}

function normalise(answer: string): string {
  return answer.replace(/^VERSION .*$/gm, 'VERSION')
}
