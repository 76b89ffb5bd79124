// The container image, built by Docker's recipe (with Debian's buildah) and without it. It runs
// under limits, without rights, and with a seccomp profile that forbids io_uring.

import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import t, { type Test } from 'tap'
import { KIB, MIB } from '../../lib/bytes/units.ts'
import { packageVersion } from '../../lib/server/system/package.ts'
import { type Container, specOf, startContainer, unpack } from '../support/container.ts'
import { skipWithout } from '../support/oracle.ts'
import { freePort, HOST, type Owner } from '../support/process.ts'
import { comesTrue } from '../support/server-peer.ts'

const folder = process.env.MEMSLAB_DEPLOY ?? ''
const skip =
  (folder === '' && 'npm run test:deploy runs it') ||
  skipWithout('buildah', 'podman', 'umoci', 'runc', 'skopeo')
const DEB = join(folder, 'memslab_0.4.1-1_amd64.deb')
const USER = 11211
const IMAGE = 'localhost/memslab'
const HEALTHY = ['/usr/lib/memslab/node', '/usr/lib/memslab/healthy.js']
const URING = ['io_uring_setup', 'io_uring_enter', 'io_uring_register']
const ERRORS = { EPERM: 1, ENOSYS: 38 }
const VALUE_BYTES = 64 * KIB

/** Sends lines, and gives what comes until the peer closes. */
async function ask(port: number, text: string): Promise<string> {
  const socket = connect({ port, host: HOST })
  socket.write(text)
  let answer = ''
  for await (const chunk of socket.setEncoding('latin1')) answer += chunk
  return answer
}

async function statsOf(port: number, command: string): Promise<Record<string, string>> {
  const rows = (await ask(port, `${command}\r\nquit\r\n`)).matchAll(/^STAT (\S+) (.*)\r$/gm)
  return Object.fromEntries([...rows].map(([, name, value]) => [name, value]))
}

/** Ports of a container: the daemon's, and that of its admin listener. */
async function placeOf(): Promise<{ port: number; args: string[]; env: string[] }> {
  const port = await freePort()
  const admin = await freePort()
  return {
    port,
    args: ['-p', `${port}`, '-l', HOST, '--admin', `${admin}`],
    env: [`MEMSLAB_HEALTH_URL=http://${HOST}:${admin}/healthz`],
  }
}

function layoutOf(t: Owner): string {
  const to = mkdtempSync(join(tmpdir(), 'layout-'))
  t.teardown(() => rmSync(to, { recursive: true, force: true }))
  const words = ['scripts/build-image.ts', '--deb', DEB, '--to', join(to, 'image'), '--level', '1']
  execFileSync(process.execPath, words, { stdio: 'pipe' })
  return `${join(to, 'image')}:${packageVersion()}`
}

function statusOf(container: Container): string {
  return container.run('/bin/sh', '-c', 'while read -r line; do echo "$line"; done </proc/1/status')
    .text
}

t.test('the image without Docker', { skip }, async t => {
  const image = layoutOf(t)
  const unpacked = unpack(t, image)

  await t.test('its files belong to root, and nobody can become root by them', async t => {
    const rootfs = join(unpacked.folder, 'rootfs')
    const find = (...words: string[]) =>
      execFileSync('find', [rootfs, ...words], { encoding: 'utf8' }).trim()
    t.equal(find('-perm', '/6000'), '')
    t.equal(find('!', '-type', 'l', '-perm', '/022', '!', '-name', 'tmp'), '')
    const theirs = find('!', '-user', '0', '-printf', '%P %U\\n')
    t.equal(theirs, `var/lib/memslab ${USER}`)
    t.strictSame(specOf(unpacked).process.user.uid, USER)
    t.match(find('-path', '*/usr/bin/*', '-printf', '%f\\n').split('\n').sort(), [
      'dash',
      'memslab',
      'sh',
      'sleep',
    ])
  })

  await t.test('memory and threads follow the limits', t => followsLimits(t, unpacked))
  for (const [name, errno] of Object.entries(ERRORS)) {
    await t.test(`io_uring that fails with ${name}: one line, and sockets`, async t => {
      const place = await placeOf()
      const denied = { names: URING, errno }
      const options = { ...place, args: [...place.args, '-t', '3'], denied }
      const container = await startContainer(t, unpacked, options)
      t.equal(await ask(place.port, 'set a 0 0 1\r\n1\r\nquit\r\n'), 'STORED\r\n')
      t.equal(container.output().match(/cannot use io_uring, uses sockets/g)?.length, 1)
    })
  }
  await t.test('podman reads it', async t => {
    const settings = JSON.parse(
      execFileSync('skopeo', ['inspect', '--config', `oci:${image}`], { encoding: 'utf8' }),
    )
    t.match(settings.config, { StopSignal: 'SIGTERM', ExposedPorts: { '11211/tcp': {} } })
  })
})

async function followsLimits(t: Test, unpacked: ReturnType<typeof unpack>): Promise<void> {
  const place = await placeOf()
  const limits = { memoryBytes: 384 * MIB, processors: 1.5 }
  const container = await startContainer(t, unpacked, { ...place, ...limits })
  const { port } = place
  t.match(await statsOf(port, 'stats settings'), { num_threads: '2' })
  const limit = Number((await statsOf(port, 'stats')).limit_maxbytes)
  t.ok(limit > 128 * MIB && limit < 256 * MIB && limit % (16 * MIB) === 0, `${limit} bytes`)
  t.match(statusOf(container), new RegExp(`Uid:\\s+${USER}\\s[^]*CapEff:\\s+0{16}\\n`))
  t.match(container.run(...HEALTHY), { code: 0, text: /healthz: 200/ })
  t.not(container.run('/bin/sh', '-c', 'echo >/usr/lib/memslab/mine').code, 0, 'read-only')

  // More than fits, from several clients, and the kernel has no reason to kill it.
  const value = 'v'.repeat(VALUE_BYTES)
  const count = Math.ceil((limit * 1.5) / VALUE_BYTES / 4)
  const fill = async (client: number) => {
    for (let at = 0; at < count; at += 64) {
      const sets = Array.from(
        { length: 64 },
        (_, i) => `set ${client}-${at + i} 0 0 ${VALUE_BYTES} noreply\r\n${value}\r\n`,
      )
      await ask(port, `${sets.join('')}get ${client}-${at}\r\nquit\r\n`)
    }
  }
  await Promise.all([0, 1, 2, 3].map(fill))
  const { evictions, bytes } = await statsOf(port, 'stats')
  t.ok(Number(evictions) > 0, `full: ${bytes} bytes, ${evictions} evictions`)

  await endsInOrder(t, container, port)
}

/** What a client has asked before SIGTERM is answered. */
async function endsInOrder(t: Test, container: Container, port: number): Promise<void> {
  const socket = connect({ port, host: HOST }).setEncoding('latin1')
  socket.write('set last 0 0 4\r\nlast\r\n')
  t.same(await once(socket, 'data'), ['STORED\r\n'])
  const gets = 200
  let answers = ''
  socket.on('data', chunk => {
    answers += chunk
  })
  const closed = once(socket, 'close')
  socket.write('get last\r\n'.repeat(gets))
  await once(socket, 'data')
  container.signal('TERM')
  t.equal(await container.ended(), 0)
  await closed
  t.equal(answers, 'VALUE last 0 4\r\nlast\r\nEND\r\n'.repeat(gets))
}

t.test("Docker's recipe", { skip }, async t => {
  const store = mkdtempSync(join(tmpdir(), 'containers-'))
  t.teardown(() => execFileSync('rm', ['-rf', store]))
  const storage = ['--root', join(store, 'root'), '--runroot', join(store, 'run')]
  const how = [
    '--cgroup-manager=cgroupfs',
    `--runtime=${runtimeIn(store)}`,
    '--events-backend=file',
  ]
  const call = (program: string, words: string[]) => {
    const all = [...storage, '--storage-driver=vfs', ...words]
    return execFileSync(program, all, { encoding: 'utf8', stdio: 'pipe' }).trim()
  }
  const podman = (...words: string[]) => call('podman', [...how, ...words])
  build(store, (...words) => call('buildah', words))

  const { port, args, env } = await placeOf()
  const flags = ['--read-only', '--cap-drop=all', '--memory=256m', '--cpus=1', '--network=host']
  const daemon = ['--name=one', '--detach', '--no-healthcheck', ...env.map(text => `--env=${text}`)]
  podman('run', ...daemon, ...flags, IMAGE, ...args)
  t.teardown(() => podman('rm', '--force', 'one'))
  const [{ Healthcheck: health }] = JSON.parse(podman('image', 'inspect', IMAGE))
  t.strictSame(health.Test, ['CMD', ...HEALTHY])
  await comesTrue(async () => {
    try {
      podman('exec', 'one', ...HEALTHY)
      return true
    } catch {
      return false
    }
  })
  t.match(await statsOf(port, 'stats settings'), { num_threads: '1' })
  const { limit_maxbytes: limit } = await statsOf(port, 'stats')
  t.ok(Number(limit) >= 96 * MIB && Number(limit) < 160 * MIB, `${limit} bytes`)
  podman('stop', 'one')
  t.equal(podman('inspect', '--format={{.State.ExitCode}}', 'one'), '0')
})

/** From a Debian that no registry has to give. */
function build(store: string, buildah: (...words: string[]) => string): void {
  buildah('from', '--name', 'debian', 'scratch')
  buildah('add', '--quiet', 'debian', process.env.MEMSLAB_DEBIAN_ROOT ?? '', '/')
  buildah('commit', '--quiet', 'debian', 'localhost/debian')
  const context = join(store, 'context')
  mkdirSync(join(context, 'build'), { recursive: true })
  mkdirSync(join(context, 'scripts'))
  cpSync(DEB, join(context, 'build', basename(DEB)))
  cpSync('scripts/image', join(context, 'scripts/image'), { recursive: true })
  const offline = ['--isolation=chroot', '--pull-never', '--build-arg', 'DEBIAN=localhost/debian']
  const recipe = ['--format=docker', '--file=scripts/image/Dockerfile', `--tag=${IMAGE}`]
  buildah('bud', ...offline, ...recipe, context)
}

/** Raising limits of open files needs a right that not every machine gives: without these. */
function runtimeIn(store: string): string {
  const path = join(store, 'runtime')
  const edit = `sed -i 's/,"rlimits":\\[[^]]*\\]//' "$word"`
  const words = `for word in "$@"; do for word in "$word" "$word/config.json"; do`
  const script = `${words}\n[ ! -f "$word" ] || ${edit}\ndone; done\nexec runc "$@"\n`
  writeFileSync(path, `#!/bin/sh\n${script}`, { mode: 0o755 })
  return path
}
