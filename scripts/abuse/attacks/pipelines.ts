// Peers that pipeline without end: hits, sets without a reply, appends to one value.

import {
  type Attack,
  expectOpen,
  openDeaf,
  repeat,
  store,
  type Target,
  type Watch,
} from '../attack.ts'

const VALUE_BYTES = 100
const HITS = Buffer.from('get abuse-hit\r\n'.repeat(4000))
const APPENDS = 9000
const APPEND_PEERS = 5

export const hits50: Attack = {
  name: 'hits, 50 peers',
  prepare: ({ port }) => store(port, 'abuse-hit', VALUE_BYTES),
  start: (target, watch) => pipeline(target, watch, 50, HITS),
}

export const hits5: Attack = { ...hits50, name: 'hits, 5 peers', start: startFive }

function startFive(target: Target, watch: Watch): Promise<void> {
  return pipeline(target, watch, 5, HITS)
}

export const quietSets: Attack = {
  name: 'noreply sets',
  start: (target, watch) => pipeline(target, watch, 50, setsOf()),
}

/** One value of up to 900 kB that 5 peers append to, 100 bytes at a time. */
export const appends: Attack = {
  name: 'growing appends',
  start(target, watch) {
    const value = 'a'.repeat(VALUE_BYTES)
    const append = `append abuse-grown 0 0 ${VALUE_BYTES} noreply\r\n${value}\r\n`
    const first = 'set abuse-grown 0 0 1 noreply\r\na\r\n'
    return pipeline(target, watch, APPEND_PEERS, Buffer.from(first + append.repeat(APPENDS)))
  },
}

function setsOf(): Buffer {
  const value = 's'.repeat(VALUE_BYTES)
  const keys = Array.from({ length: 1000 }, (_, i) => `abuse-set${i}`)
  return Buffer.from(
    keys.map(key => `set ${key} 0 0 ${VALUE_BYTES} noreply\r\n${value}\r\n`).join(''),
  )
}

async function pipeline({ port }: Target, watch: Watch, peers: number, bytes: Buffer) {
  for (let peer = 0; peer < peers; peer++) {
    const socket = await openDeaf(port)
    expectOpen(socket, watch)
    repeat(socket, bytes)
  }
}
