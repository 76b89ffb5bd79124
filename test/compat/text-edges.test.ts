/**
 * Hand-written edge cases of the classic text protocol: the same bytes to memcached and to memslab.
 * Replies are compared byte for byte, and whether the connection stays open.
 * test/support/normalise.ts says where and why they may differ. What newer releases answer is in
 * cases/newer.ts.
 */
import { createServer, connect as dial, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { compare, type Pair, prepare, startPair } from '../support/differential.ts'
import { createNormaliser } from '../support/normalise.ts'
import { skipWithout, startOracle } from '../support/oracle.ts'
import { freePort, HOST, type Owner } from '../support/process.ts'
import { type Group, ONE, RESET_KEYS, VERSION } from './cases/case.ts'
import { control } from './cases/control.ts'
import { lines } from './cases/lines.ts'
import { compareCase } from './cases/newer.ts'
import { numbers } from './cases/numbers.ts'
import { retrieval } from './cases/retrieval.ts'
import { storage } from './cases/storage.ts'

const GROUPS: Group[] = [...lines, ...retrieval, ...storage, ...numbers, ...control]
const CASES_MIN = 250
const RESET = RESET_KEYS.map(key => `delete ${key}\r\n`).join('')

t.test('edge cases get the same replies', { skip: skipWithout('memcached') }, async t => {
  const pair = await startPair(t)
  for (const group of GROUPS) await t.test(group.name, t => runGroup(t, pair, group))
})

t.test('the cases are many, and each has a name of its own', async t => {
  const cases = GROUPS.flatMap(group => group.cases.map(([name]) => `${group.name}: ${name}`))
  t.ok(cases.length >= CASES_MIN, `${cases.length} cases`)
  t.equal(new Set(cases).size, cases.length)
})

t.test('a changed reply is seen', { skip: skipWithout('memcached') }, async t => {
  const [oracle, other] = await Promise.all([startOracle(t), startOracle(t)])
  const script = { steps: [`${ONE}gets k\r\n`, `delete k\r\n${VERSION}`] }
  const changes: [name: string, from: string, to: string][] = [
    ['one byte', 'STORED', 'STOREd'],
    ['a missing line', 'DELETED\r\n', ''],
    ['a line too many', 'DELETED\r\n', 'DELETED\r\nDELETED\r\n'],
    ['another line end', 'DELETED\r\n', 'DELETED\n'],
    ['a change of the flags', 'VALUE k 0 1', 'VALUE k 1 1'],
    ['a change of the value', '\r\n1\r\n', '\r\n2\r\n'],
    ['the order', 'DELETED\r\nVERSION', 'VERSION\r\nDELETED'],
  ]
  for (const [name, from, to] of changes) {
    const port = await startChanger(t, other.port, from, to)
    const daemon = { ...oracle, port }
    t.type(await compare({ oracle, daemon }, script), 'object', name)
  }
  const same = await startChanger(t, other.port, 'never', 'printed')
  t.equal(await compare({ oracle, daemon: { ...oracle, port: same } }, script), undefined)
})

t.test('a connection that closes is seen', { skip: skipWithout('memcached') }, async t => {
  const oracle = await startOracle(t)
  const port = await startCloser(t)
  for (const raw of [false, true]) {
    const script = { steps: [raw ? 'get' : VERSION], raw }
    const found = await compare({ oracle, daemon: { ...oracle, port } }, script)
    t.type(found, 'object')
  }
})

t.test('normalising keeps what must be compared', async t => {
  const normalise = createNormaliser()
  const first = normalise('VALUE k 0 1 77\r\na\r\nVALUE k 0 1 77\r\na\r\nEND\r\n')
  t.equal(first, 'VALUE k 0 1 #0\r\na\r\nVALUE k 0 1 #0\r\na\r\nEND\r\n')
  t.equal(normalise('VALUE k 0 1 78\r\na\r\n'), 'VALUE k 0 1 #1\r\na\r\n', 'another number')
  t.equal(normalise('VALUE b 0 1 78\r\na\r\n'), 'VALUE b 0 1 #0\r\na\r\n', 'another key')
  t.equal(normalise.lastCas('k'), '78')
  const inside = 'VALUE k 5 17\r\nVALUE k 0 1 9\r\nx\r\nEND\r\n'
  t.equal(normalise(inside), inside, 'a value is not a reply line')
  t.equal(normalise('VERSION 1.6.18\r\nVERSION\r\n'), 'VERSION *\r\nVERSION\r\n')
})

async function runGroup(t: Test, pair: Pair, group: Group): Promise<void> {
  for (const one of group.cases) {
    await prepare(pair, RESET)
    const found = await compareCase(pair, group.name, one)
    if (found === undefined) t.pass(one[0])
    else t.fail(one[0], { found })
  }
}

/** A proxy that replaces `from` by `to` in the replies. */
async function startChanger(owner: Owner, target: number, from: string, to: string) {
  return startFake(owner, peer => {
    const server = dial(target, HOST)
    peer.pipe(server)
    server.on('data', chunk => {
      peer.write(Buffer.from(chunk.toString('latin1').replace(from, to), 'latin1'))
    })
    server.on('close', () => peer.destroy())
    server.on('error', () => peer.destroy())
    peer.on('close', () => server.destroy())
  })
}

function startCloser(owner: Owner): Promise<number> {
  return startFake(owner, peer => peer.end())
}

async function startFake(owner: Owner, serve: (peer: Socket) => void): Promise<number> {
  const peers = new Set<Socket>()
  const port = await freePort()
  const server = createServer(peer => {
    peers.add(peer)
    peer.on('error', () => peer.destroy())
    serve(peer)
  })
  await new Promise<void>(resolve => server.listen(port, HOST, resolve))
  owner.teardown(() => {
    for (const peer of peers) peer.destroy()
    server.close()
  })
  return port
}
