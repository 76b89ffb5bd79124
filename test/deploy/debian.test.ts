// The Debian package on a bare Debian with systemd: installed, reloaded, hung, killed, upgraded,
// downgraded, removed, purged. It takes minutes and needs root: `npm run test:deploy`.

import { execFile, execFileSync } from 'node:child_process'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { bootDebian, type DebianHost } from '../support/debian-host.ts'

/** Where run.sh has put the packages. */
const folder = process.env.MEMSLAB_DEPLOY ?? ''
const skip = folder === '' && 'npm run test:deploy runs it'
/** Rejects with what it printed if its exit code is not 0. */
const run = promisify(execFile)
const UNIT = 'memslab.service'
const OLD = '0.4.0-1'
const NEW = '0.4.1-1'
const EXPOSURE_MAX = 2
/** Of a package that was purged. /var/log has the system's own lines. */
const TRACES = `find / -xdev \\( -path /proc -o -path /sys -o -path /root -o -path /var/log \\) -prune -o -name '*memslab*' -print`

interface Place {
  host: DebianHost
  /** Installs this version. Returns what dpkg printed. */
  install(version: string): string
  /** Its files there, by version. */
  paths: Readonly<Record<string, string>>
}

function mainPid(host: DebianHost): number {
  return Number(host.show(UNIT, 'MainPID'))
}

/** Waits until the watchdog has ended this number of processes, and another one serves. */
async function isReplaced(host: DebianHost, times: number): Promise<void> {
  const ended = `[ $(journalctl --unit ${UNIT} | grep -c 'Watchdog timeout') = ${times} ]`
  // After its end, not before: a process that hangs is still active.
  const serves = `systemctl is-active ${UNIT} && timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/11211; echo version >&3; head -1 <&3'`
  await host.until(`${ended} && ${serves}`)
}

/** In their order: each begins where the one before it ended. */
const STEPS: Readonly<Record<string, (t: Test, place: Place) => Promise<void>>> = {
  'an installation serves, on loopback alone, as its own user': async (t, { host, install }) => {
    install(OLD)
    t.equal(host.show(UNIT, 'ActiveState'), 'active')
    t.equal(host.show(UNIT, 'Type'), 'notify')
    t.equal(host.show(UNIT, 'UnitFileState'), 'enabled')
    t.equal(host.ask("'set kept 0 0 3' abc 'get kept'"), 'STORED\nVALUE kept 0 3\nabc\nEND')
    const pid = mainPid(host)
    t.equal(host.run(`cat /proc/${pid}/comm`), 'memslab')
    t.equal(host.run(`stat -c %U /proc/${pid}`), 'memslab')
    t.match(host.run("grep -c '0100007F:2BCB .* 0A ' /proc/net/tcp"), '1')
    await host.untilLogged(UNIT, /memslab 0\.4\.0 listens on tcp:127\.0\.0\.1:11211\n/)
    t.notMatch(host.journal(UNIT), /cannot use io_uring/)
    t.match(host.run('memslab -V'), /^memslab 0\.4\.0 /)
    t.match(host.run('zcat /usr/share/doc/memslab/node.copyright.gz'), /^Node\.js is licensed/)
    t.ok(host.run('ls -d /usr/lib/memslab/dist/cache/*-$(id -u memslab)'), 'and V8s code is there')
    await host.until(`systemctl show --property StatusText ${UNIT} | grep '1 items, .* hit ratio'`)
  },

  'a reload': async (t, { host }) => {
    const pid = mainPid(host)
    host.run(`systemctl reload ${UNIT}`)
    await host.until(`systemctl is-active ${UNIT}`)
    t.equal(mainPid(host), pid)
    await host.untilLogged(UNIT, /Reloaded memslab/)
  },

  'an upgrade keeps the cache, the process after it is watched': async (t, { host, install }) => {
    const pid = mainPid(host)
    t.match(install(NEW), /process \d+ serves in place of process \d+/)
    t.not(mainPid(host), pid)
    t.equal(host.show(UNIT, 'ActiveState'), 'active')
    t.equal(host.show(UNIT, 'NRestarts'), '0')
    t.equal(host.ask("'get kept'"), 'VALUE kept 0 3\nabc\nEND')
    t.match(host.ask('version'), 'VERSION')
    await host.untilLogged(UNIT, /memslab 0\.4\.1 listens/)
    await host.untilLogged(UNIT, /upgrade: process \d+ serves now, with 1 items/)
    host.run(`kill -KILL ${mainPid(host)}`)
    await host.until(`[ $(systemctl show --value --property NRestarts ${UNIT}) = 1 ]`)
    await host.until(`systemctl is-active ${UNIT}`)
    t.equal(host.ask("'get kept'"), 'END', 'a crash is the end of the content')
  },

  'a restart keeps the cache': async (t, { host }) => {
    host.ask("'set kept 0 0 3' def")
    host.run(`systemctl restart ${UNIT}`)
    await host.untilLogged(UNIT, /1 of 1 items came back/)
    t.equal(host.ask("'get kept'"), 'VALUE kept 0 3\ndef\nEND')
  },

  'a downgrade keeps the cache': async (t, { host, install }) => {
    install(OLD)
    t.equal(host.ask("'get kept'"), 'VALUE kept 0 3\ndef\nEND')
    t.match(host.ask("'stats memslab'"), /STAT memslab_version 0\.4\.0\n/)
  },

  'an upgrade that fails becomes a restart, which keeps the cache': async (t, { host, paths }) => {
    const pid = mainPid(host)
    // In place of a version that cannot take the content.
    host.run('mkdir /root/bin')
    host.run(
      `printf '%s\\n' '#!/bin/sh' '[ "$1" != upgrade ] && exec /usr/bin/memslab "$@"' 'echo refused; exit 1' >/root/bin/memslab`,
    )
    host.run('chmod +x /root/bin/memslab')
    t.match(host.run(`PATH=/root/bin:$PATH dpkg --install ${paths[NEW]}`), /^refused$/m)
    t.not(mainPid(host), pid)
    t.equal(host.show(UNIT, 'ActiveState'), 'active')
    t.match(host.ask("'stats memslab'"), /STAT memslab_version 0\.4\.1\n/)
    t.equal(host.ask("'get kept'"), 'VALUE kept 0 3\ndef\nEND')
    host.run('rm -r /root/bin')
  },

  'a daemon that hangs is ended and started again': async (t, { host }) => {
    host.run(`mkdir -p /run/systemd/system/${UNIT}.d`)
    host.run(`printf '[Service]\\nWatchdogSec=4s\\n' >/run/systemd/system/${UNIT}.d/short.conf`)
    host.run(`systemctl daemon-reload; systemctl restart ${UNIT}`)
    host.run(`kill -STOP ${mainPid(host)}`)
    await isReplaced(host, 1)
    t.match(host.ask('version'), 'VERSION')
  },

  'so is one of which a single thread hangs': async (t, { host }) => {
    const threads = `/proc/${mainPid(host)}/task`
    const worker = host.run(`grep -l WorkerThread ${threads}/*/comm | head -1 | cut -d / -f 5`)
    // It stops that thread alone, as long as it runs: PTRACE_SEIZE, PTRACE_INTERRUPT.
    const stop = `syscall(101, 0x4206, ${worker}, 0, 0); syscall(101, 0x4207, ${worker}, 0, 0)`
    const tracer = host.run(`perl -e '${stop}; sleep 120' </dev/null >/dev/null 2>&1 & echo $!`)
    await host.until(`[ $(journalctl --unit ${UNIT} | grep -c 'Watchdog timeout') = 2 ]`)
    await host.untilLogged(UNIT, /worker \d has not run for \d s: the watchdog is not fed/)
    host.run(`kill ${tracer}`)
    await isReplaced(host, 2)
    t.match(host.ask('version'), 'VERSION')
    host.run(`rm -r /run/systemd/system/${UNIT}.d; systemctl daemon-reload`)
  },

  'another instance, and the socket': async (t, { host, install }) => {
    host.run(
      "sed 's/11211/11311/; s#/run/memslab/#/run/memslab-two/#' /etc/memslab.conf >/etc/memslab_two.conf",
    )
    host.run('systemctl start memslab@two.service')
    t.match(host.ask('version', 11311), 'VERSION')
    host.run('systemctl stop memslab@two.service; rm /etc/memslab_two.conf')
    host.run(`systemctl stop ${UNIT}; systemctl start memslab.socket`)
    t.equal(host.show(UNIT, 'ActiveState'), 'inactive')
    t.equal(host.ask("'set a 0 0 1' 1"), 'STORED', 'the first connection starts it')
    t.equal(host.show(UNIT, 'ActiveState'), 'active')
    install(OLD)
    t.equal(host.ask("'get a'"), 'VALUE a 0 1\n1\nEND', 'another version goes on with the socket')
    host.run(`systemctl stop memslab.socket ${UNIT}; systemctl start ${UNIT}`)
  },

  'remove leaves the options, purge leaves nothing': async (t, { host }) => {
    const pid = mainPid(host)
    host.run('dpkg --remove memslab')
    t.equal(host.try(`kill -0 ${pid}`).code, 1, 'it has ended')
    t.equal(host.run('ls -d /etc/memslab*'), '/etc/memslab.conf')
    t.equal(host.try('ls /usr/lib/memslab').code, 2)
    host.run('dpkg --purge memslab')
    t.equal(host.run(TRACES), '')
    t.equal(host.try('getent passwd memslab').code, 2)
  },
}

t.test('the Debian package', { skip }, async t => {
  const files = Object.fromEntries(
    [OLD, NEW].map(version => [version, join(folder, `memslab_${version}_amd64.deb`)]),
  )

  // Meanwhile the host boots.
  const lintian = run('lintian', ['--fail-on', 'warning', files[OLD]])
  lintian.catch(() => {})

  await t.test('the units are closed tightly', async t => {
    for (const unit of ['memslab.service', 'memslab@.service']) {
      const words = ['security', '--offline=true', '--no-pager', `scripts/debian/${unit}`]
      const said = execFileSync('systemd-analyze', words, { encoding: 'utf8' })
      const exposure = Number(/exposure level for \S+: ([\d.]+)/.exec(said)?.[1])
      t.ok(exposure <= EXPOSURE_MAX, `${unit}: ${exposure}`)
    }
  })

  const host = await bootDebian(t)
  const paths = Object.fromEntries(
    Object.entries(files).map(([version, file]) => [version, host.give(file, basename(file))]),
  )
  const install = (version: string) => host.run(`dpkg --install ${paths[version]}`)

  await t.test('lintian has nothing to say', async t => {
    t.equal((await lintian).stdout, '')
  })
  for (const [name, step] of Object.entries(STEPS)) {
    await t.test(name, t => step(t, { host, install, paths }))
  }
})
