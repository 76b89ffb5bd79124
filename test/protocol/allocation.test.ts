// A request allocates nothing on the heap on its way through a session, in any protocol, alone or
// pipelined. V8 counts the bytes that were ever allocated.

import { setTimeout as sleep } from 'node:timers/promises'
import { getHeapStatistics } from 'node:v8'
import t from 'tap'
import { Area } from '../../lib/bytes/area.ts'
import type { Host } from '../../lib/protocol/host.ts'
import { type Outlet, Session } from '../../lib/protocol/session.ts'
import { frame, Op } from '../support/binary-frames.ts'
import { createHost } from '../support/server-session.ts'

const DEPTH = 64
const WARM_REQUESTS = 50_000
const REQUESTS = 200_000
// An object or a number on the heap has 12 bytes or more. The allowance is the granularity of V8's
// count: it gives a thread buffers of some 100 KiB to allocate in, and counts complete ones.
const BYTES_A_REQUEST_MAX = 2
const TRIES = 20
/** Between tries, so that the compiler's threads get a processor. */
const COMPILE_MS = 20
const COUNTED = 'total_allocated_bytes' in getHeapStatistics()
const NEEDS_COUNT = { skip: COUNTED ? false : 'this Node.js does not count what is allocated' }

const KEY = 'key-0001'
const OTHER = 'key-0002'
const NUMBER = 'number'
const MISSING = 'missing-key'
const FLAGS_AND_EXPTIME = '\0\0\0\0\0\0\0\0'
const VALUE = 'v'.repeat(32)
const LONGER = 'v'.repeat(500)
const STORE = [KEY, OTHER].map(key => `set ${key} 7 0 ${VALUE.length}\r\n${VALUE}\r\n`)

const REQUESTS_BY_NAME: Readonly<Record<string, string>> = {
  'get, hit': `get ${KEY}\r\n`,
  'get, miss': `get ${MISSING}\r\n`,
  'gets of two': `gets ${KEY} ${OTHER}\r\n`,
  gat: `gat 1000 ${KEY}\r\n`,
  'set in place': `set ${KEY} 0 0 32\r\n${VALUE}\r\n`,
  'set of another size': `set ${OTHER} 0 0 500\r\n${LONGER}\r\nset ${OTHER} 0 0 32\r\n${VALUE}\r\n`,
  'set with an end': `set ${OTHER} 5 1000 32\r\n${VALUE}\r\n`,
  'add and replace': `add ${KEY} 0 0 1\r\n1\r\nreplace ${KEY} 0 0 32\r\n${VALUE}\r\n`,
  delete: `delete ${MISSING}\r\n`,
  incr: `incr ${NUMBER} 1\r\n`,
  touch: `touch ${KEY} 1000\r\n`,
  'mg, hit': `mg ${KEY} v\r\n`,
  'mg with flags': `mg ${KEY} s t f v k q Oabc\r\n`,
  'mg, miss': `mg ${MISSING} v\r\n`,
  ms: `ms ${KEY} 32\r\n${VALUE}\r\n`,
  'ms with flags': `ms ${KEY} 32 T1000 F5 Oabc\r\n${VALUE}\r\n`,
  md: `md ${MISSING} q\r\n`,
  ma: `ma ${NUMBER} v\r\n`,
  mn: 'mn\r\n',
  'binary get, hit': frame(Op.GET, { key: KEY }),
  'binary get, miss': frame(Op.GET, { key: MISSING }),
  'binary getkq': frame(Op.GETKQ, { key: KEY }),
  'binary set': frame(Op.SET, { key: KEY, extras: FLAGS_AND_EXPTIME, value: VALUE }),
  'binary delete': frame(Op.DELETE, { key: MISSING }),
  'binary noop': frame(Op.NOOP),
}

/** Discards replies. */
class Nowhere implements Outlet {
  private readonly host: Host
  sentBytes = 0

  constructor(host: Host) {
    this.host = host
  }

  flush(): boolean {
    this.sentBytes += this.host.reply.length
    this.host.reply.length = 0
    return true
  }

  later(): void {}
}

for (const [name, request] of Object.entries(REQUESTS_BY_NAME)) {
  for (const depth of [1, DEPTH]) {
    t.test(`${name}, ${depth} at once: allocates nothing`, NEEDS_COUNT, async t => {
      const host = createHost()
      const store = `${STORE.join('')}set ${NUMBER} 0 0 1\r\n1\r\n`
      run(host, store, 1, 1)
      run(host, request, depth, WARM_REQUESTS)
      // What a late compilation allocates is not the request's.
      let least = Number.POSITIVE_INFINITY
      for (let tries = 0; tries < TRIES && least > BYTES_A_REQUEST_MAX; tries++) {
        if (tries > 0) await sleep(COMPILE_MS)
        least = Math.min(least, run(host, request, depth, REQUESTS))
      }
      t.ok(least <= BYTES_A_REQUEST_MAX, `${least.toFixed(3)} bytes a request`)
    })
  }
}

/** Runs `count` requests, `depth` at once. Returns the bytes allocated per request. */
function run(host: Host, request: string, depth: number, count: number): number {
  const outlet = new Nowhere(host)
  const session = new Session(host, outlet, 32)
  const bytes = Buffer.from(request.repeat(depth), 'latin1')
  const input = Area.allocate(bytes.length)
  bytes.copy(input.bytes)
  const before = getHeapStatistics().total_allocated_bytes
  for (let done = 0; done < count; done += depth) {
    const used = session.run(input, 0, bytes.length)
    if (used !== bytes.length) throw new Error(`ate ${used} of ${bytes.length} bytes`)
    outlet.flush()
  }
  const allocated = getHeapStatistics().total_allocated_bytes - before
  session.close()
  return allocated / count
}
