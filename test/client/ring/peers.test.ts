// Other clients store thousands of keys, and our hash ring must know the server of each.

import { execFile, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { createRing, ownerOf, type RingOptions } from '../../../lib/client/ring/ring.ts'
import { freePort, startServer } from '../../support/process.ts'
import { Recorders } from '../../support/recorder.ts'
import { runs } from '../../support/runs.ts'

const KEYS = runs(2500, 10_000)
const NODE_COUNTS = [1, 3, 25, 47]
const PEER_MS_MAX = 60_000
const PYTHON = '/usr/bin/python3'

const run = promisify(execFile)

const equal = (_: number) => 1
const weighted = (index: number) => 1 + (index % 4) * 3

const PYLIBMC = `
import pylibmc, sys
servers = sys.argv[2:]
client = pylibmc.Client(servers, binary=False, behaviors={"ketama_weighted": True, "hash": "md5"})
for i in range(int(sys.argv[1])):
    client.set("key:%d" % i, "v")
`

const PHP = `
$client = new Memcached();
$client->setOption(Memcached::OPT_LIBKETAMA_COMPATIBLE, true);
$client->setOption(Memcached::OPT_COMPRESSION, false);
$servers = [];
foreach (array_slice($argv, 2) as $server) {
  [$host, $port, $weight] = explode(':', $server);
  $servers[] = [$host, (int) $port, (int) $weight];
}
$client->addServers($servers);
for ($i = 0; $i < (int) $argv[1]; $i++) $client->set("key:$i", 'v');
`

interface Peer {
  name: string
  options: RingOptions
  /** A command that fails if the client is not installed. */
  probe: [command: string, ...args: string[]]
  weights: (typeof equal)[]
  store(t: Test, ports: number[], weights: number[]): Promise<unknown>
}

const peers: Peer[] = [
  {
    name: 'pylibmc',
    options: {},
    probe: [PYTHON, '-c', 'import pylibmc'],
    weights: [equal],
    store: (_, ports) => {
      const servers = ports.map(port => `127.0.0.1:${port}`)
      return run(PYTHON, ['-c', PYLIBMC, String(KEYS), ...servers], { timeout: PEER_MS_MAX })
    },
  },
  {
    name: 'php-memcached',
    options: {},
    probe: ['php', '-r', 'exit(class_exists("Memcached") ? 0 : 1);'],
    weights: [equal, weighted],
    store: (_, ports, weights) => {
      const servers = ports.map((port, i) => `127.0.0.1:${port}:${weights[i]}`)
      return run('php', ['-r', PHP, '--', String(KEYS), ...servers], { timeout: PEER_MS_MAX })
    },
  },
  {
    name: 'nutcracker, keys by md5',
    options: { kind: 'twemproxy', keyHash: 'md5' },
    probe: ['nutcracker', '--version'],
    weights: [equal, weighted],
    store: (t, ports, weights) => storeThroughNutcracker(t, ports, weights, 'md5'),
  },
  {
    name: 'nutcracker, keys by fnv1a_64',
    options: { kind: 'twemproxy' },
    probe: ['nutcracker', '--version'],
    weights: [equal, weighted],
    store: (t, ports, weights) => storeThroughNutcracker(t, ports, weights, 'fnv1a_64'),
  },
]

for (const peer of peers) {
  t.test(peer.name, { skip: skipWithoutPeer(peer) }, async t => {
    for (const count of NODE_COUNTS) {
      for (const weightOf of peer.weights) {
        const weights = Array.from({ length: count }, (_, i) => weightOf(i))
        await checkRing(t, peer, weights)
      }
    }
  })
}

async function checkRing(t: Test, peer: Peer, weights: number[]): Promise<void> {
  const recorders = await Recorders.start(weights.length)
  try {
    await peer.store(t, recorders.ports, weights)
    const nodes = recorders.ports.map((port, i) => ({
      host: '127.0.0.1',
      port,
      weight: weights[i],
    }))
    const ring = createRing(nodes, peer.options)
    let wrong = 0
    for (let i = 0; i < KEYS; i++) {
      if (recorders.owners.get(`key:${i}`) !== ownerOf(ring, `key:${i}`)) wrong++
    }
    const kind = new Set(weights).size === 1 ? 'equal' : 'weighted'
    t.equal(recorders.owners.size, KEYS, `${weights.length} ${kind} nodes: all keys were stored`)
    t.equal(wrong, 0, 'and each where the ring says')
  } finally {
    await recorders.close()
  }
}

async function storeThroughNutcracker(
  t: Test,
  ports: number[],
  weights: number[],
  hash: string,
): Promise<void> {
  const config = join(t.testdir({}), 'nutcracker.yml')
  const statsPort = await freePort()
  const nutcracker = await startServer(t, 'nutcracker', port => {
    const servers = ports.map((serverPort, i) => `   - 127.0.0.1:${serverPort}:${weights[i]}`)
    writeFileSync(
      config,
      [
        'pool:',
        `  listen: 127.0.0.1:${port}`,
        `  hash: ${hash}`,
        '  distribution: ketama',
        '  auto_eject_hosts: false',
        '  servers:',
        ...servers,
        '',
      ].join('\n'),
    )
    const log = join(config, '..', 'log')
    const pid = join(config, '..', 'pid')
    return ['-c', config, '-s', String(statsPort), '-a', '127.0.0.1', '-o', log, '-p', pid]
  })
  await storeByText(nutcracker.port)
  await nutcracker.stop()
}

async function storeByText(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  for (let i = 0; i < KEYS; i++) socket.write(`set key:${i} 0 0 1\r\nv\r\n`)
  let bytes = 0
  for await (const part of socket) {
    bytes += part.length
    if (bytes >= KEYS * 'STORED\r\n'.length) break
  }
  socket.destroy()
}

function skipWithoutPeer({ name, probe }: Peer): string | false {
  if (isInstalled(probe)) return false
  const reason = `${name} is not installed`
  if (process.env.MEMSLAB_PEERS === 'required') throw new Error(reason)
  return reason
}

function isInstalled([command, ...args]: Peer['probe']): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
