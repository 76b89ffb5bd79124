// The replies that the bench expects are those of a session, in each protocol. A wrong byte is
// found, except in fields that each server chooses.

import t from 'tap'
import { CASES } from '../../scripts/bench/cases.ts'
import { Requests } from '../../scripts/bench/requests.ts'
import { createHost, Peer } from '../support/server-session.ts'

const BATCHES = 4
const CAS_START = 16
const CAS_END = 24

for (const load of CASES) {
  if (load.tls || load.pace !== undefined || load.threads !== undefined) continue
  if (load.keyCount < 100_000 || load.spread === 'zipf') continue
  t.test(`${load.name}: batches get the expected replies`, async t => {
    const requests = new Requests({ ...load, keyCount: 200 }, 1, BATCHES)
    const host = createHost()
    const storing = new Peer(host)
    for (const { bytes } of requests.preload()) storing.feed(bytes)
    const peer = new Peer(host)
    for (let index = 0; index < BATCHES; index++) {
      const { bytes, replyBytes, firstByte } = requests.batches[index]
      peer.feed(bytes)
      const reply = peer.take()
      t.equal(reply.length, replyBytes)
      t.equal(reply[0], firstByte)
      t.ok([undefined, reply.at(-1)].includes(requests.lastByte))
      t.equal(requests.faultIn(index, reply), undefined)
      reply[0] ^= 1
      t.equal(requests.faultIn(index, reply)?.at, 0)
    }
  })
}

t.test('CAS numbers are not compared', async t => {
  const [load] = CASES.filter(({ name }) => name === 'binary-set-d16')
  const requests = new Requests({ ...load, keyCount: 200 }, 1, BATCHES)
  const peer = new Peer(createHost())
  peer.feed(requests.batches[0].bytes)
  const reply = peer.take()
  reply.fill(0xff, CAS_START, CAS_END)
  t.equal(requests.faultIn(0, reply), undefined)
  reply[CAS_START - 1] ^= 1
  t.equal(requests.faultIn(0, reply)?.at, CAS_START - 1)
})
