// Text from elsewhere that must not act on a terminal.

import t from 'tap'
import { printable } from '../../lib/bytes/printable.ts'

t.test('what a person can read stays as it is', async t => {
  for (const text of ['', 'key 1', 'schlüssel', '鍵', '\\x1b', 'a: b=c'])
    t.equal(printable(text), text)
})

t.test('what acts on a terminal, or ends a line, is escaped', async t => {
  t.equal(printable('a\x1b[2Jb\r\n\0\x7f\x9b'), 'a\\x1b[2Jb\\x0d\\x0a\\x00\\x7f\\x9b')
  t.equal(printable('\u202eabc\u2028\u{e0001}'), '\\u{202e}abc\\u{2028}\\u{e0001}')
})
