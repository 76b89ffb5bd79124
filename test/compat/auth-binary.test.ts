/**
 * SASL (-S): the same frames to memcached, which asks libsasl's sasldb, and to memslab, which reads
 * a password file. Each step is sent after the one before was answered.
 *
 * Not compared, because they differ on purpose: memcached 1.6.18 cannot authenticate a connection a
 * second time, it runs out of memory for claims near a megabyte, and libsasl adds the machine's
 * realm to a name without one.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { awaitSasl, frame, Op, plain, readResponses, Sasl } from '../support/auth.ts'
import { startDaemon } from '../support/daemon.ts'
import type { Pair } from '../support/differential.ts'
import { findProgram, skipWithout, startOracle } from '../support/oracle.ts'
import { HOST } from '../support/process.ts'
import { talkTo, talkToBoth } from '../support/talk.ts'

const SKIP = { skip: skipWithout('memcached', 'saslpasswd2') }

const auth = (value: string, mechanism = 'PLAIN') => frame(Sasl.AUTH, mechanism, value)
const step = (value: string) => frame(Sasl.STEP, 'PLAIN', value)
const RIGHT = auth(plain('user', 'pass'))
const WRONG = auth(plain('user', 'nope'))
const BEGIN = auth('')
const NOOP = frame(Op.NOOP)
const LIST = frame(Sasl.LIST)

const SCRIPTS: Record<string, string[]> = {
  'the mechanisms': [LIST, LIST],
  'a right claim': [RIGHT, NOOP, frame(Op.GET, 'k'), frame(Op.QUIT)],
  'pipelined behind a right claim': [RIGHT + NOOP + frame(Op.GET, 'k')],
  'wrong claims, then a right one': [WRONG, WRONG, RIGHT, NOOP],
  'a wrong claim, then a command': [WRONG, NOOP],
  'another user': [auth(plain('bob', 'pass')), auth(plain('bob', 'word')), NOOP],
  nobody: [auth(plain('nobody', 'pass')), NOOP],
  'get first': [frame(Op.GET, 'k'), RIGHT],
  'quit first': [frame(Op.QUIT), RIGHT],
  'stat first': [frame(Op.STAT), RIGHT],
  'a quiet set first': [frame(Op.SETQ, 'k', 'v', { extras: '\0'.repeat(8) }) + NOOP],
  'version first': [frame(Op.VERSION), frame(Op.VERSION, 'x'), RIGHT],
  'an unknown opcode first': [frame(0x77, 'k', 'v'), RIGHT],
  text: ['version\r\n'.repeat(4), RIGHT],
  'a wrong claim after a right one': [RIGHT, WRONG, NOOP],
  'a list after a right claim': [RIGHT, LIST, NOOP],
  'a step after a right claim': [RIGHT, step(plain('user', 'pass')), NOOP],
  'begun, then a right step': [BEGIN, step(plain('user', 'pass')), NOOP],
  'begun, then a wrong step': [BEGIN, step(plain('user', 'nope')), NOOP],
  'begun, a wrong step, a right one': [
    BEGIN,
    step(plain('user', 'nope')),
    step(plain('user', 'pass')),
    NOOP,
  ],
  'begun, then an empty step': [BEGIN, step(''), NOOP],
  'begun twice': [BEGIN, BEGIN, step(plain('user', 'pass')), NOOP],
  'begun, a list, a step': [BEGIN, LIST, step(plain('user', 'pass')), NOOP],
  'begun, a step of another mechanism': [
    BEGIN,
    frame(Sasl.STEP, 'OTHER', plain('user', 'pass')),
    NOOP,
  ],
  'a step first': [step(plain('user', 'pass')), RIGHT, NOOP],
  'a step after a wrong claim': [WRONG, step(plain('user', 'pass')), NOOP],
  'no mechanism': [auth(plain('user', 'pass'), ''), NOOP],
  'another mechanism': [auth('', 'CRAM-MD5'), auth('x', 'CRAM-MD5'), NOOP],
  'small letters': [auth(plain('user', 'pass'), 'plain'), NOOP],
  'a mechanism of 32 bytes': [auth('x', 'P'.repeat(32)), LIST],
  'a mechanism of 33 bytes': [auth('x', 'P'.repeat(33)), LIST],
  'a mechanism of 251 bytes': [auth('x', 'P'.repeat(251)), LIST],
  extras: [frame(Sasl.AUTH, 'PLAIN', plain('user', 'pass'), { extras: 'abcd' }), LIST],
  'a list with a key': [frame(Sasl.LIST, 'x'), RIGHT],
  'a list with a value': [frame(Sasl.LIST, '', 'x'), RIGHT],
  'the same name twice': [auth(plain('user', 'pass', 'user')), NOOP],
  'the rights of another': [auth(plain('user', 'pass', 'bob')), NOOP],
  'messages that are none': [auth('user\0pass'), auth('user pass'), auth('\0user\0pass\0x')],
  'empty parts': [auth(plain('', 'pass')), auth(plain('user', '')), auth('\0\0')],
  'a long password': [auth(plain('user', 'p'.repeat(3000))), LIST],
  'a very long password': [auth(plain('user', 'p'.repeat(100_000))), LIST],
  'a body shorter than its key': [frame(Sasl.AUTH, 'PLAIN', '', { bodyBytes: 3 }), LIST],
  'the same of a stranger': [frame(Op.GET, 'key', '', { bodyBytes: 1 }), LIST],
  'another magic': [LIST, frame(Sasl.AUTH, 'PLAIN', 'x', { magic: 0x81 }), LIST],
  'a claim in pieces': [...pieces(RIGHT, 7), NOOP],
}

t.test('frames get the same answers', SKIP, async t => {
  const pair = await startBoth(t)
  const found = await Promise.all(
    Object.values(SCRIPTS).map((steps, index) =>
      talkToBoth(pair, steps, `127.0.3.${index + 1}`, read),
    ),
  )
  for (const [index, name] of Object.keys(SCRIPTS).entries()) {
    t.same(found[index].daemon, found[index].oracle, name)
  }
})

t.test('a second claim may be right', async t => {
  t.testdir({})
  const daemon = await startDaemon(t, ['-t', '1', '-S', '-o', `sasl_pwdb=${passwordFile(t)}`])
  await awaitSasl(daemon)
  const { answers } = await talkTo(daemon.port, [RIGHT, RIGHT, NOOP], HOST, read)
  t.same(answers, [['21 0 Authenticated'], ['21 0 Authenticated'], ['a 0']])
})

async function startBoth(t: Test): Promise<Pair> {
  process.env.SASL_CONF_PATH = makeSaslDatabase(t)
  const [oracle, daemon] = await Promise.all([
    startOracle(t, ['-S']),
    startDaemon(t, ['-t', '2', '-S', '-o', `sasl_pwdb=${passwordFile(t)}`]),
  ])
  await Promise.all([oracle, daemon].map(awaitSasl))
  return { oracle, daemon }
}

function passwordFile(t: Test): string {
  const path = join(t.testdirName, 'users')
  writeFileSync(path, 'user:pass:::::::\nbob:word\n')
  return path
}

/** A folder with libsasl's settings and users for memcached. */
function makeSaslDatabase(t: Test): string {
  const folder = t.testdir({})
  const path = join(folder, 'sasldb')
  const settings = ['mech_list: plain', 'pwcheck_method: auxprop', 'auxprop_plugin: sasldb']
  writeFileSync(join(folder, 'memcached.conf'), `${settings.join('\n')}\nsasldb_path: ${path}\n`)
  for (const [user, password] of [
    ['user', 'pass'],
    ['bob', 'word'],
  ]) {
    const args = ['-p', '-c', '-f', path, '-u', hostname(), '-a', 'memcached', user]
    spawnSync(findProgram('saslpasswd2') ?? '', args, { input: password, timeout: 20_000 })
  }
  chmodSync(path, 0o644)
  return folder
}

function read(bytes: Buffer): string[] {
  return readResponses(bytes).map(normalise)
}

function normalise(response: string): string {
  return response.replace(/^b 0 .*/, 'b 0 VERSION')
}

function pieces(text: string, length: number): string[] {
  return Array.from({ length: Math.ceil(text.length / length) }, (_, index) =>
    text.slice(index * length, (index + 1) * length),
  )
}
