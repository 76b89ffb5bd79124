// V8 knows the flags by their names: code that was compiled without them is no longer its own.

import { cachedDataVersionTag, setFlagsFromString } from 'node:v8'
import t from 'tap'
import { COMPILER_FLAGS } from '../../lib/server/compiler.ts'

for (const flag of COMPILER_FLAGS) {
  t.test(`${flag} is one of V8's`, async t => {
    const before = cachedDataVersionTag()
    setFlagsFromString(flag)
    t.not(cachedDataVersionTag(), before)
  })
}
