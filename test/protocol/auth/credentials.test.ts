// Password files: the meaning of their lines, errors in them, and that a claim is compared with
// every user whatever it contains.

import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import t from 'tap'
import { Credentials, type FileForm } from '../../../lib/protocol/auth/credentials.ts'
import type { Claim } from '../../../lib/protocol/authenticator.ts'
import { AUTH_LINE_BYTES_MAX, AUTH_USERS_MAX } from '../../../lib/protocol/limits.ts'

t.test('a plain file: everything after the first colon is the password', async t => {
  const { opens } = users('bob:secret\nann:a:b c\r\n:nameless\nempty:\nbob:other', 'plain')
  for (const [user, password] of [
    ['bob', 'secret'],
    ['bob', 'other'],
    ['ann', 'a:b c'],
    ['', 'nameless'],
    ['empty', ''],
  ]) {
    t.ok(opens(user, password), `${user}:${password}`)
  }
  for (const [user, password] of [
    ['bob', 'secre'],
    ['bob', 'secret\n'],
    ['bob', 'secrets'],
    ['bob', ''],
    ['ann', 'a'],
    ['ann', 'a:b c\r'],
    ['ann:a', 'b c'],
    ['Bob', 'secret'],
    ['nobody', 'secret'],
    ['empty', 'x'],
  ]) {
    t.notOk(opens(user, password), `${user}:${password}`)
  }
})

t.test('a tokens file: more may follow the password, other lines are ignored', async t => {
  const { credentials, opens } = users('\n# none\nbob:secret:x:y\r\nbob:other\nann:pw\n', 'tokens')
  t.ok(opens('bob', 'secret'))
  t.ok(opens('bob', 'secret:x'), 'a password with a colon in it')
  t.ok(opens('bob', 'secret:x:y'))
  t.ok(opens('ann', 'pw'))
  t.notOk(opens('bob', 'other'), 'the first line of a user counts')
  t.notOk(opens('bob', 'secret:'))
  t.equal(credentials.count, 4)
})

t.test('errors in a plain file', async t => {
  const { credentials } = users('', 'plain')
  const long = 'x'.repeat(AUTH_LINE_BYTES_MAX)
  for (const text of [
    '\n',
    'a:b\n\n',
    'bob',
    'a:b\nbob\n',
    'a\0:b',
    'a:b\0',
    `${long}:x`,
    `x:${long}`,
  ]) {
    t.equal(credentials.replace(Buffer.from(text), 'plain'), 'malformed', JSON.stringify(text))
  }
  t.equal(credentials.replace(Buffer.from(`a:${long.slice(2)}`), 'plain'), null)
  const many = Array.from({ length: AUTH_USERS_MAX }, (_, i) => `u${i}:p`).join('\n')
  t.equal(credentials.replace(Buffer.from(many), 'plain'), null)
  t.equal(credentials.count, AUTH_USERS_MAX)
  t.equal(credentials.replace(Buffer.from(`${many}\none:more`), 'plain'), 'too many users')
})

t.test('an empty file has no users', async t => {
  const { opens } = users('', 'plain')
  t.notOk(opens('', ''))
  t.notOk(opens('a', 'b'))
})

t.test('every thread sees new users, and an error keeps the old ones', async t => {
  const { credentials, opens } = users('bob:one\n', 'plain')
  const elsewhere = new Credentials(credentials.buffer)
  const opensElsewhere = (password: string) => elsewhere.has(claim('bob', password))
  t.ok(opensElsewhere('one'))
  t.equal(credentials.replace(Buffer.from('bob:two\nann:x\n'), 'plain'), null)
  t.ok(opensElsewhere('two'))
  t.notOk(opensElsewhere('one'))
  t.equal(credentials.replace(Buffer.from('bob:three\nbroken\n'), 'plain'), 'malformed')
  t.ok(opensElsewhere('two'))
  t.ok(opens('ann', 'x'))
  t.notOk(opensElsewhere('three'))
  t.equal(credentials.replace(Buffer.from(''), 'plain'), null)
  t.notOk(opensElsewhere('two'))
})

t.test('shared memory contains no password', async t => {
  const { credentials } = users('bob:correct horse\n', 'plain')
  const bytes = Buffer.from(credentials.buffer)
  t.equal(bytes.indexOf('correct'), -1)
  t.equal(bytes.indexOf('bob'), -1)
  const same = users('bob:correct horse\n', 'plain').credentials
  t.notOk(Buffer.from(same.buffer).equals(bytes), 'each process has a key of its own')
})

t.test('every claim is digested once and compared with every user', async t => {
  const { opens } = users('a:1\nb:2\nc:3\nd:4\n', 'plain')
  for (const [user, password] of [
    ['a', '1'],
    ['d', '4'],
    ['d', '5'],
    ['unknown', '1'],
    ['', ''],
    ['x'.repeat(2000), '1'],
  ]) {
    const calls = countCalls(() => opens(user, password))
    t.same(calls, { createHmac: 1, timingSafeEqual: 4 }, `${user.slice(0, 9)}:${password}`)
  }
})

function users(text: string, form: FileForm) {
  const credentials = Credentials.create()
  if (credentials.replace(Buffer.from(text), form) !== null) throw new Error('a file with a fault')
  const opens = (user: string, password: string) => credentials.has(claim(user, password))
  return { credentials, opens }
}

/** A claim in the middle of a buffer, as in a request. */
function claim(user: string, password: string): Claim {
  const bytes = Buffer.from(`set x${user} ${password}\r\n`)
  const userEnd = 5 + Buffer.byteLength(user)
  return {
    bytes,
    userStart: 5,
    userEnd,
    passwordStart: userEnd + 1,
    passwordEnd: bytes.length - 2,
  }
}

function countCalls(run: () => void) {
  const calls = { createHmac: 0, timingSafeEqual: 0 }
  const { createHmac, timingSafeEqual } = crypto
  crypto.createHmac = (...args) => {
    calls.createHmac++
    return createHmac(...args)
  }
  crypto.timingSafeEqual = (...args) => {
    calls.timingSafeEqual++
    return timingSafeEqual(...args)
  }
  syncBuiltinESMExports()
  run()
  Object.assign(crypto, { createHmac, timingSafeEqual })
  syncBuiltinESMExports()
  return calls
}
