// /metrics: every name of memcached_exporter with its type and labels, values that follow the
// traffic, both formats, and what Prometheus makes of it.

import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { fetchFrom, type Metric, readMetrics, scrape, startWithAdmin } from '../support/admin.ts'
import { startEtcd } from '../support/etcd.ts'
import { findProgram, skipWithout } from '../support/oracle.ts'
import { HOST, startServer } from '../support/process.ts'
import { ask, comesTrue, openPeer, statsOf } from '../support/server-peer.ts'
import { COMMANDS, COUNTERS, GAUGES, SLAB_COUNTERS, SLAB_GAUGES } from './names.ts'

const HERE = fileURLToPath(new URL('.', import.meta.url))
const RULES = fileURLToPath(new URL('../../docs/monitoring/alerts.yml', import.meta.url))
const OPENMETRICS = { accept: 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5' }

function typesOf(metrics: Map<string, Metric>, names: readonly string[]): (string | undefined)[] {
  return [...new Set(names.map(name => metrics.get(`memcached_${name}`)?.type))]
}

t.test('every name of memcached_exporter is there with its type', async t => {
  const { daemon, admin } = await startWithAdmin(t, ['--metrics-slabs'])
  const peer = await openPeer(daemon.port)
  await ask(peer, 'set a 0 0 1\r\nx\r\n', '\r\n')
  const metrics = await scrape(admin)
  t.same(typesOf(metrics, [...GAUGES, ...SLAB_GAUGES.filter(isShown)]), ['gauge'])
  t.same(typesOf(metrics, [...COUNTERS, ...SLAB_COUNTERS]), ['counter'])
  const known = new Set([...GAUGES, ...COUNTERS, ...SLAB_GAUGES, ...SLAB_COUNTERS])
  for (const name of metrics.keys()) {
    if (name.startsWith('memcached_')) t.ok(known.has(name.slice('memcached_'.length)), name)
  }
  for (const name of [...SLAB_GAUGES, ...SLAB_COUNTERS].filter(isShown)) {
    const samples = [...(metrics.get(`memcached_${name}`)?.samples.keys() ?? [])]
    t.match(samples[0], /^\{slab="1"/, name)
  }
})

/** Temporary lists are off by default, as in memcached, and then have no row. */
function isShown(name: string): boolean {
  return name !== 'slab_temporary_items'
}

t.test('series by slab class are there only where they are asked for', async t => {
  const { daemon, admin } = await startWithAdmin(t)
  const peer = await openPeer(daemon.port)
  await ask(peer, 'set a 0 0 1\r\nx\r\n', '\r\n')
  const metrics = await scrape(admin)
  const slabs = [...metrics.keys()].filter(name => name.startsWith('memcached_slab_'))
  t.same(slabs, ['memcached_slab_items_outofmemory_total'])
  t.equal(metrics.get(slabs[0] ?? '')?.samples.get('{slab="1"}'), 0)
})

t.test('values follow the traffic', async t => {
  const { daemon, admin } = await startWithAdmin(t, ['-m', '64', '-c', '100'])
  const peer = await openPeer(daemon.port)
  const commands = [
    'set a 0 0 1\r\nx\r\nset n 0 0 1\r\n1\r\nset d 0 0 1\r\n1\r\n',
    'get a\r\nget a\r\nget z\r\ndelete d\r\ndelete z\r\nincr n 1\r\nincr z 1\r\n',
    'decr n 1\r\ndecr z 1\r\ntouch a 0\r\ntouch z 0\r\ncas a 0 0 1 1\r\ny\r\ncas z 0 0 1 1\r\ny\r\n',
    'gets a\r\nmn\r\n',
  ]
  await ask(peer, commands.join(''), 'MN\r\n')
  const unique = /VALUE a 0 1 (\d+)/.exec(await ask(peer, 'gets a\r\n', 'END\r\n'))?.[1]
  await ask(peer, `cas a 0 0 1 ${unique}\r\ny\r\nflush_all 100\r\nmn\r\n`, 'MN\r\n')
  const metrics = await scrape(admin)
  const samples = metrics.get('memcached_commands_total')?.samples
  const count = (command: string, status: string) =>
    samples?.get(`{command="${command}",status="${status}"}`)
  t.equal(samples?.size, Object.values(COMMANDS).flat().length)
  const expected = {
    get: { hit: 4, miss: 1 },
    delete: { hit: 1, miss: 1 },
    incr: { hit: 1, miss: 1 },
    decr: { hit: 1, miss: 1 },
    touch: { hit: 1, miss: 1 },
    cas: { hit: 1, miss: 1, badval: 1 },
    flush: { hit: 1 },
    // Without those of cas: memcached counts a cas as a set where it had a value.
    set: { hit: 3 },
  }
  for (const [command, statuses] of Object.entries(expected)) {
    for (const [status, times] of Object.entries(statuses)) {
      t.equal(count(command, status), times, `${command} ${status}`)
    }
  }
  const value = (name: string) => metrics.get(`memcached_${name}`)?.samples.get('')
  const stats = await statsOf(daemon.port)
  for (const [name, row] of [
    ['current_items', 'curr_items'],
    ['current_bytes', 'bytes'],
    ['items_total', 'total_items'],
    ['limit_bytes', 'limit_maxbytes'],
  ] as const) {
    t.equal(value(name), Number(stats.get(row)), name)
  }
  t.equal(value('max_connections'), 100)
  t.equal(value('current_connections'), 1)
  t.ok((value('process_open_fds') ?? 0) > 10)
  t.ok((value('process_max_fds') ?? 0) >= 100)
  t.ok((value('process_virtual_memory_bytes') ?? 0) > (value('process_resident_memory_bytes') ?? 0))
  const startedAgoS = Date.now() / 1000 - (value('process_start_time_seconds') ?? 0)
  // It is rounded to whole seconds.
  t.ok(startedAgoS >= -1 && startedAgoS < 120, `${startedAgoS} seconds`)
})

t.test('evictions and refused stores are counted', async t => {
  const fill = async (port: number) => {
    const peer = await openPeer(port)
    const stores = Array.from({ length: 400 }, (_, i) => `set k${i} 0 0 50000 noreply\r\n`)
    const bytes = stores.map(line => `${line}${'v'.repeat(50_000)}\r\n`).join('')
    await ask(peer, `${bytes}mn\r\n`, 'MN\r\n')
  }
  const evicting = await startWithAdmin(t, ['-m', '4'])
  await fill(evicting.daemon.port)
  const removed = (await scrape(evicting.admin)).get('memslab_items_removed_total')?.samples
  // How many of them a page move evicts depends on when upkeep has its turns.
  const evictions = ['memory', 'page_move'].map(cause => removed?.get(`{cause="${cause}"}`) ?? 0)
  t.ok(evictions.reduce((a, b) => a + b) > 100, `${evictions} evicted`)
  const refusing = await startWithAdmin(t, ['-m', '4', '-M'])
  await fill(refusing.daemon.port)
  const refused = (await scrape(refusing.admin)).get('memcached_slab_items_outofmemory_total')
  const sum = [...(refused?.samples.values() ?? [])].reduce((a, b) => a + b, 0)
  t.ok(sum > 100, `${sum} refused`)
})

t.test('the docs list every metric of our own, and no other', async t => {
  const { admin } = await startWithAdmin(t)
  const page = readFileSync(new URL('../../docs/monitoring.md', import.meta.url), 'utf8')
  const rows = page.split('\n').filter(line => line.startsWith('| `memslab_'))
  const listed = rows.flatMap(row => row.split('|')[1]?.match(/memslab_\w+/g) ?? [])
  const shown = [...(await scrape(admin)).keys()].filter(name => name.startsWith('memslab_'))
  t.same([...new Set(listed)].sort(), shown.sort())
})

t.test('the dashboard and the alerts name metrics that are there', async t => {
  const { admin } = await startWithAdmin(t, ['--metrics-slabs'])
  const known = new Set((await scrape(admin)).keys())
  for (const name of ['dashboard.json', 'alerts.yml']) {
    const text = readFileSync(new URL(`../../docs/monitoring/${name}`, import.meta.url), 'utf8')
    const named = text.match(/\b(?:memslab|memcached)_[a-z_]+\b/g) ?? []
    const metrics = new Set(named.map(metric => metric.replace(/_bucket$/, '')))
    t.ok(metrics.size > 5, `${name} names ${metrics.size}`)
    for (const metric of metrics) t.ok(known.has(metric), `${name}: ${metric}`)
  }
})

t.test('removals have their causes', async t => {
  const { daemon, admin } = await startWithAdmin(t, ['-m', '8', '-t', '1'])
  const peer = await openPeer(daemon.port)
  const stores = Array.from({ length: 500 }, (_, i) => `set k${i} 0 0 10 noreply\r\nvvvvvvvvvv\r\n`)
  await ask(peer, `${stores.join('')}flush_all\r\n`, 'OK\r\n')
  const removed = async (cause: string) =>
    (await scrape(admin)).get('memslab_items_removed_total')?.samples.get(`{cause="${cause}"}`)
  const dead = async () => ((await removed('flushed')) ?? 0) + ((await removed('expired')) ?? 0)
  t.ok(await comesTrue(async () => (await dead()) === 500), 'all are freed, some by list balance')
  for (const cause of ['memory', 'page_move', 'crawler']) t.equal(await removed(cause), 0, cause)
})

t.test('a lock that was taken is counted for its arena', async t => {
  const { daemon, admin } = await startWithAdmin(t, ['-m', '64', '-t', '2'])
  const before = (await scrape(admin)).get('memslab_lock_waits_total')
  t.same([...(before?.samples.keys() ?? [])], ['{arena="0"}', '{arena="1"}'])
  const peers = await Promise.all(Array.from({ length: 4 }, () => openPeer(daemon.port)))
  const value = 'v'.repeat(20_000)
  const batch = `${`set k 0 0 20000 noreply\r\n${value}\r\n`.repeat(200)}mn\r\n`
  const isCounted = async () => {
    await Promise.all(peers.map(peer => ask(peer, batch, 'MN\r\n')))
    const samples = (await scrape(admin)).get('memslab_lock_waits_total')?.samples.values() ?? []
    return [...samples].some(waits => waits > 0)
  }
  t.ok(await comesTrue(isCounted), 'two threads that store the same key meet')
  const step = (await scrape(admin)).get('memslab_lock_longest_step_seconds')?.samples
  t.ok(
    [...(step?.values() ?? [])].every(seconds => seconds > 0 && seconds < 60),
    'steps of upkeep',
  )
})

t.test('workers tell of themselves', async t => {
  const { admin } = await startWithAdmin(t)
  const isTold = async () => {
    const samples = (await scrape(admin)).get('memslab_worker_cpu_seconds_total')?.samples
    return [0, 1].every(worker => (samples?.get(`{worker="${worker}"}`) ?? 0) > 0)
  }
  t.ok(await comesTrue(isTold), 'CPU time of each worker')
  const metrics = await scrape(admin)
  t.equal(metrics.get('memslab_workers_ready')?.samples.get(''), 2)
  for (const name of ['worker_loop_delay_seconds', 'worker_gc_seconds_total']) {
    const samples = metrics.get(`memslab_${name}`)?.samples
    const labels = ['{worker="0"}', '{worker="1"}', '{worker="main"}']
    t.same([...(samples?.keys() ?? [])], labels, name)
  }
  const mainCpu = async () =>
    (await scrape(admin)).get('memslab_worker_cpu_seconds_total')?.samples.get('{worker="main"}')
  t.ok(await comesTrue(async () => ((await mainCpu()) ?? 0) > 0), 'CPU time of the main thread')
  t.equal(metrics.get('memslab_worker_io_uring')?.samples.size, 2)
  const memory = async (kind: string) =>
    (await scrape(admin)).get('memslab_memory_bytes')?.samples.get(`{kind="${kind}"}`) ?? 0
  // Three threads with a heap each.
  t.ok(await comesTrue(async () => (await memory('heaps')) > 6e6), 'heaps of all threads')
  t.equal(await memory('free_pages'), 0)
  t.equal(metrics.get('memslab_registered')?.samples.size, 0, 'it does not register')
})

t.test('latency by command is a histogram', async t => {
  const { daemon, admin } = await startWithAdmin(t, ['-t', '1'])
  const peer = await openPeer(daemon.port)
  for (let i = 0; i < 1000; i++) await ask(peer, 'set a 0 0 1\r\nx\r\nget a\r\n', 'END\r\n')
  const { text } = await fetchFrom(admin, '/metrics')
  const name = 'memslab_request_duration_seconds'
  t.match(text, new RegExp(`^# TYPE ${name} histogram$`, 'm'))
  for (const command of ['get', 'set']) {
    const numberAt = (line: string) => Number(text.split(`${line} `)[1]?.split('\n')[0])
    const count = numberAt(`${name}_count{command="${command}"}`)
    t.ok(count > 0, `${count} samples of ${command}`)
    t.equal(numberAt(`${name}_bucket{le="+Inf",command="${command}"}`), count)
    t.ok(numberAt(`${name}_bucket{le="0.000016",command="${command}"}`) <= count)
    t.ok(numberAt(`${name}_sum{command="${command}"}`) > 0)
  }
})

t.test('OpenMetrics keeps the names', async t => {
  const { admin } = await startWithAdmin(t, ['--metrics-slabs'])
  const plain = readMetrics((await fetchFrom(admin, '/metrics')).text)
  const { headers, text } = await fetchFrom(admin, '/metrics', { headers: OPENMETRICS })
  t.match(headers['content-type'], /^application\/openmetrics-text; version=1\.0\.0/)
  t.match(text, /\n# EOF\n$/)
  const names = new Set(text.split('\n').flatMap(line => /^(\w+)[ {]/.exec(line)?.[1] ?? []))
  for (const [name, { samples }] of plain) {
    if (samples.size > 0) t.ok(names.has(name), name)
  }
})

t.test('etcd: whether it has this daemon', { skip: skipWithout('etcd') }, async t => {
  const etcd = await startEtcd(t)
  const { admin } = await startWithAdmin(t, ['--etcd', etcd.url])
  const registered = async () => (await scrape(admin)).get('memslab_registered')?.samples.get('')
  t.ok(await comesTrue(async () => (await registered()) === 1))
})

t.test('promtool accepts the metrics and the rules', { skip: skipWithout('promtool') }, async t => {
  const promtool = findProgram('promtool') ?? ''
  const { admin } = await startWithAdmin(t)
  const { text } = await fetchFrom(admin, '/metrics')
  const linted = spawnSync(promtool, ['check', 'metrics'], { input: text, encoding: 'utf8' })
  // What memcached_exporter's own names break is no fault of ours.
  const faults = linted.stderr.split('\n').filter(line => line.startsWith('memslab_'))
  t.same(faults, [])
  t.equal(spawnSync(promtool, ['check', 'rules', RULES]).status, 0)
  const tested = spawnSync(promtool, ['test', 'rules', 'alerts.test.yml'], {
    cwd: HERE,
    encoding: 'utf8',
  })
  t.equal(tested.status, 0, tested.stdout + tested.stderr)
})

t.test(
  'Prometheus scrapes it, and alerts are raised',
  { skip: skipWithout('prometheus') },
  async t => {
    const { daemon, admin } = await startWithAdmin(t, ['-c', '10', '-m', '4', '-M'])
    const prometheus = await startPrometheus(t, admin)
    const found = async (query: string) => {
      const path = `/api/v1/query?query=${encodeURIComponent(query)}`
      const { text } = await fetchFrom(prometheus, path)
      return JSON.parse(text).data?.result as { value: [number, string] }[]
    }
    const isTrue = (query: string) => comesTrue(async () => (await found(query))?.length > 0)
    t.ok(await isTrue('memcached_up == 1'))
    const limit = '100 * memcached_current_connections / memcached_max_connections > 80'
    t.same(await found(limit), [])
    const peers = await Promise.all(Array.from({ length: 9 }, () => openPeer(daemon.port)))
    t.ok(await isTrue(limit), 'connections near the limit')
    const [peer] = peers
    const refused = `set k 0 0 50000\r\n${'v'.repeat(50_000)}\r\n`
    const outOfMemory = 'sum without(slab) (rate(memcached_slab_items_outofmemory_total[5s])) > 0'
    t.same(await found(outOfMemory), [])
    let stores = 0
    const refuse = async () => {
      if (peer === undefined) return false
      for (let i = 0; i < 40; i++) {
        await ask(peer, refused.replace('k', `k${stores++}`), '\r\n')
      }
      return (await found(outOfMemory)).length > 0
    }
    t.ok(await comesTrue(refuse), 'stores refused for lack of memory')
    t.ok(await comesTrue(async () => (await found(outOfMemory)).length === 0), 'and it clears')
    for (const open of peers) open.destroy()
    t.ok(await comesTrue(async () => (await found(limit)).length === 0), 'and so does the limit')
    await daemon.stop()
    t.ok(await isTrue('up{job="memslab"} == 0'), 'the daemon is down')
  },
)

/** Debian's Prometheus, which scrapes this port each second. Returns its port. */
async function startPrometheus(t: Test, admin: number): Promise<number> {
  const folder = t.testdir()
  const config = join(folder, 'prometheus.yml')
  const job = `{ job_name: memslab, scrape_interval: 1s, static_configs: [{ targets: ['${HOST}:${admin}'] }] }`
  writeFileSync(config, `scrape_configs: [${job}]\n`)
  const { port } = await startServer(t, findProgram('prometheus') ?? '', port => [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=${HOST}:${port}`,
  ])
  const isReady = async () => (await fetchFrom(port, '/-/ready')).status === 200
  t.ok(await comesTrue(isReady), 'Prometheus is ready')
  return port
}
