// V8 accepts the flags by name, and rejects code that was compiled without them.

import { cachedDataVersionTag, setFlagsFromString } from 'node:v8'
import t from 'tap'
import { COMPILER_FLAGS } from '../../../lib/server/system/compiler.ts'

for (const flag of COMPILER_FLAGS) {
  t.test(`V8 has the flag ${flag}`, async t => {
    const before = cachedDataVersionTag()
    setFlagsFromString(flag)
    t.not(cachedDataVersionTag(), before)
  })
}
