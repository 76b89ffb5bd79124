// The shell variant of the templates, run on a bare Debian with systemd: it becomes a node that
// registers in etcd, keeps its content in a change of settings, and hands it over at a shutdown.

import { join } from 'node:path'
import t from 'tap'
import { bootDebian, type DebianHost } from '../support/debian-host.ts'
import { findProgram, skipWithout } from '../support/oracle.ts'

const folder = process.env.MEMSLAB_DEPLOY ?? ''
const skip = (folder === '' && 'npm run test:deploy runs it') || skipWithout('etcd')
const SCRIPT = 'docs/deploy/templates/memslab-node.sh'
const DEB = 'memslab_0.4.1-1_amd64.deb'
const ETCD = 'http://127.0.0.1:2379'
const OTHER = 11311

/** Puts the settings there, and runs the script: its exit code and output. */
function setUp(host: DebianHost, settings: Record<string, string>) {
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}`)
  host.run(`printf '%s\\n' ${lines.map(line => `"${line}"`).join(' ')} >/etc/memslab-node`)
  return host.try('sh /root/gifts/memslab-node')
}

t.test('a VM becomes a node', { skip }, async t => {
  const host = await bootDebian(t)
  host.give(SCRIPT, 'memslab-node')
  const deb = host.give(join(folder, DEB), DEB)
  const etcd = host.give(findProgram('etcd') ?? '', 'etcd')
  const sum = host.run(`sha256sum ${deb}`).split(' ')[0]
  const urls = `--listen-client-urls ${ETCD} --advertise-client-urls ${ETCD}`
  const peers = '--listen-peer-urls http://127.0.0.1:2380'
  host.run(`systemd-run --unit etcd ${etcd} --data-dir /run/etcd ${urls} ${peers}`)
  await host.until("grep -q '0100007F:094B .* 0A ' /proc/net/tcp || { journalctl -u etcd; false; }")
  const settings = { PACKAGE: deb, SHA256: sum, ETCD, ADDRESS: '127.0.0.1' }

  await t.test('wrong settings are one line', async t => {
    const said = (wrong: Record<string, string>) => setUp(host, { ...settings, ...wrong })
    t.match(said({ PACKAGE: '' }), {
      code: 1,
      text: 'memslab-node: /etc/memslab-node has no PACKAGE\n',
    })
    t.match(said({ PACKAGE: 'https://example.net/a.deb', SHA256: '' }), {
      code: 1,
      text: /needs its SHA256/,
    })
    t.match(said({ SHA256: '0'.repeat(64) }), { code: 1, text: /is another file/ })
    t.equal(host.try('ls /usr/bin/memslab').code, 2, 'and nothing was installed')
  })

  await t.test('right ones are a node, found in etcd', async t => {
    t.match(setUp(host, settings), {
      code: 0,
      text: /memslab 0\.4\.1-1 serves on 127\.0\.0\.1:11211\n/,
    })
    t.equal(host.ask("'set a 0 0 1' 1"), 'STORED')
    t.equal(host.show('memslab.service', 'UnitFileState'), 'enabled')
    await host.untilLogged('memslab.service', /listens on tcp:127\.0\.0\.1:11211/)
    t.notMatch(host.journal('memslab.service'), /etcd/)
  })

  await t.test('once more changes nothing, another option restarts with the content', async t => {
    const pid = host.show('memslab.service', 'MainPID')
    t.equal(setUp(host, settings).code, 0)
    t.equal(host.show('memslab.service', 'MainPID'), pid)
    t.equal(setUp(host, { ...settings, OPTIONS: "'-c 2048'" }).code, 0)
    t.not(host.show('memslab.service', 'MainPID'), pid)
    t.match(host.ask("'stats settings'"), /STAT maxconns 2048\n/)
    t.equal(host.ask("'get a'"), 'VALUE a 0 1\n1\nEND')
  })

  await t.test('at a shutdown another node gets what it has', async t => {
    const edits = `s/11211/${OTHER}/; s#/run/memslab/#/run/memslab-two/#; s/-m auto/-m 64/; /admin/d`
    host.run(`sed '${edits}' /etc/memslab.conf >/etc/memslab_two.conf`)
    host.run('systemctl start memslab@two.service')
    // As the shutdown does it: what was started last is stopped first.
    host.run('systemctl stop memslab-leave.service')
    await host.untilLogged('memslab-leave.service', /1 of 1 items moved, .* 0 failed/)
    t.equal(host.ask("'get a'", OTHER), 'VALUE a 0 1\n1\nEND')
    t.equal(host.ask("'get a'"), 'VALUE a 0 1\n1\nEND', 'clients that still ask here find it')
    const order = host.show('memslab-leave.service', 'After')
    t.match(order, 'memslab.service', 'it is stopped before the daemon')
  })
})
