// The file of `memslab scale`: what it takes, and one line with its place for each fault.

import { readFileSync } from 'node:fs'
import t from 'tap'
import { ConfigFaults, parseConfig, readConfig } from '../../../lib/commands/scale/config/file.ts'

const PROCESSES = 'driver: { processes: { dir: nodes } }'
const LEAST = `least: 2\nmost: 5\npolicies: { cpu: 60 }\n${PROCESSES}\n`

function faultsOf(text: string): string[] {
  try {
    parseConfig('it.yaml', text)
    return []
  } catch (error) {
    if (error instanceof ConfigFaults) return [...error.lines]
    throw error
  }
}

t.test('the examples of the docs can be used', async t => {
  const page = readFileSync(new URL('../../../docs/scaling.md', import.meta.url), 'utf8')
  const examples = [...page.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text]) => text)
  t.ok(examples.length >= 3, `${examples.length} examples`)
  for (const [index, text] of examples.entries()) {
    t.strictSame(faultsOf(text), [], `example ${index}`)
  }
  const [, list = ''] = /^## The file$(.*?)^## /ms.exec(page) ?? []
  const fields = Object.keys(parseConfig('it.yaml', `${LEAST}listen: '127.0.0.1:1'\n`))
  for (const field of [...fields, 'etcd'])
    t.ok(list.includes(`\`${field}`), `${field} is described`)
})

t.test('defaults', async t => {
  const config = parseConfig('it.yaml', LEAST)
  t.match(config, { every: 15_000, slack: 10, room: 90, step: 2, leave: 'hits', warm: 0 })
  t.match(config.window, { out: 60_000, in: 600_000 })
  t.match(config.cooldown, { out: 180_000, in: 900_000 })
  t.strictSame(config.announce, { by: 'none', command: [], timeout: 60_000, settle: 0 })
  const withEtcd = parseConfig('it.yaml', `${LEAST}etcd: { endpoints: ['http://a:1'] }\n`)
  t.match(withEtcd.announce, { by: 'etcd', settle: 5000 })
  t.match(withEtcd.etcd, { prefix: '/memslab/', state: '/memslab-scale/', ttl: 15_000 })
})

t.test('JSON', async t => {
  const driver = { command: { list: ['l'], out: ['o', '-v'], in: ['i'] } }
  const given = { least: 1, most: 3, every: '500ms', policies: { curve: { gain: 1, loss: 0.5 } } }
  const config = parseConfig('it.json', JSON.stringify({ ...given, driver }, undefined, 2))
  t.equal(config.every, 500)
  t.strictSame(config.driver.command?.out, ['o', '-v'])
})

const FAULTS: readonly (readonly [text: string, line: RegExp])[] = [
  ['least: [3\nmost', /^it\.yaml:2:1: \S/],
  ['', /^it\.yaml:1:1: the file takes least, most, /],
  ['- 1', /^it\.yaml:1:1: the file takes least, most, /],
  [`${LEAST}least: 3\n`, /^it\.yaml:5:1: Map keys must be unique$/],
  [`${LEAST}nodes: 3\n`, /^it\.yaml:5:1: nodes is not known here; known are least, /],
  [LEAST.replace('60', '600'), /^it\.yaml:3:13: policies\.cpu takes a number from 1 to 100$/],
  [LEAST.replace('least: 2', 'least: 2.5'), /^it\.yaml:1:1: least takes a whole number from 1 to/],
  [LEAST.replace('most: 5', 'most: x'), /^it\.yaml:2:1: most takes a whole number from 1 to 256$/],
  [LEAST.replace('most: 5', 'most: 1'), /^it\.yaml:1:1: least is above most, 1$/],
  [LEAST.replace('cpu: 60', ''), /^it\.yaml:3:1: policies takes at least one policy$/],
  [`${LEAST}every: 5\n`, /^it\.yaml:5:1: every takes a time such as 15s or 3m, from 100ms to 1h$/],
  [`${LEAST}cooldown: { in: 2d }\n`, /^it\.yaml:5:13: cooldown\.in takes a time such as /],
  [`${LEAST}leave: last\n`, /^it\.yaml:5:1: leave takes hits, items, memory$/],
  [`${LEAST}warm: 100\n`, /^it\.yaml:5:1: warm needs an announce by etcd, config or command/],
  [
    `${LEAST}schedule:\n  - { at: 61 8 * * *, least: 3 }\n`,
    /^it\.yaml:6:7: schedule\[0\]\.at takes five fields of cron/,
  ],
  [
    `${LEAST}schedule:\n  - { at: 1 8 * * *, zone: Mars, least: 3 }\n`,
    /^it\.yaml:6:22: schedule\[0\]\.zone takes a time zone/,
  ],
  [
    `${LEAST}schedule:\n  - { at: 1 8 * * *, least: 7 }\n`,
    /^it\.yaml:6:5: schedule\[0\] its least is above its most$/,
  ],
  [`${LEAST}announce: { by: etcd }\n`, /^it\.yaml:5:13: announce\.by etcd needs the section etcd$/],
  [`${LEAST}announce: { by: command }\n`, /^it\.yaml:5:1: announce by: command goes with command/],
  [LEAST.replace(PROCESSES, 'driver: {}'), /^it\.yaml:4:1: driver takes one of processes, command/],
  [
    LEAST.replace(PROCESSES, 'driver: { etcd: {} }'),
    /^it\.yaml:4:11: driver\.etcd needs the section etcd$/,
  ],
  [
    LEAST.replace(PROCESSES, "driver: { processes: { dir: d, args: ['-m', '64', '-p', '1'] } }"),
    /^it\.yaml:4:51: driver\.processes\.args\[2\] -p is set by the driver$/,
  ],
  [
    LEAST.replace(PROCESSES, 'driver: { processes: { dir: d, ports: { first: 9, last: 12 } } }'),
    /ports has fewer than 5 ports, the most nodes$/,
  ],
  [
    LEAST.replace('cpu: 60', 'curve: { gain: 1, loss: 1 }'),
    /^it\.yaml:3:31: policies\.curve\.loss has to be below gain/,
  ],
]

for (const [text, line] of FAULTS) {
  t.test(`a fault: ${String(line)}`, async t => {
    const faults = faultsOf(text)
    t.match(faults[0], line)
    for (const fault of faults) t.notMatch(fault, /\n/)
  })
}

t.test('each fault has its line', async t => {
  const faults = faultsOf(`${LEAST}leave: last\nwarm: x\nroom: 101\n`)
  t.strictSame(
    faults.map(line => line.split(':')[1]),
    ['5', '6', '7'],
  )
})

t.test('a file that cannot be read', async t => {
  t.throws(() => readConfig('/nowhere/it.yaml'), { message: /^\/nowhere\/it\.yaml: .*ENOENT$/ })
  t.throws(() => readConfig(t.testdirName), ConfigFaults)
})
