/**
 * A container of an image, run by runc as Kubernetes and Docker do: read-only root, no
 * capabilities, the limits that a test gives. Its network is the host's, so that each test chooses
 * free ports. Needs root, umoci and runc.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { accepts, type Owner } from './process.ts'

const READY_MS_MAX = 60_000
const POLL_MS = 50
const COMMAND_MS_MAX = 60_000
const NUMBERS = { count: 0 }

export interface ContainerOptions {
  /** Words after those of the image. */
  args: string[]
  port: number
  env?: string[]
  memoryBytes?: number
  /** Of a processor: 1.5 is one and a half. */
  processors?: number
  /** System calls that fail, and with which error. */
  denied?: { names: string[]; errno: number }
}

/** An image that was unpacked: its files, and its settings as OCI's run-time specification. */
export interface Unpacked {
  folder: string
}

interface Spec {
  process: {
    terminal: boolean
    args: string[]
    env: string[]
    user: { uid: number; gid: number }
    capabilities: Record<string, string[]>
    rlimits?: object[]
    noNewPrivileges: boolean
  }
  root: { path: string; readonly: boolean }
  mounts: { type: string }[]
  linux: {
    namespaces: { type: string }[]
    resources: object
    seccomp?: object
    cgroupsPath: string
  }
}

/** `image`: the folder of an OCI layout, and its tag. */
export function unpack(owner: Owner, image: string): Unpacked {
  const folder = mkdtempSync(join(tmpdir(), 'unpacked-'))
  owner.teardown(() => rmSync(folder, { recursive: true, force: true }))
  execFileSync('umoci', ['unpack', '--image', image, join(folder, 'bundle')], { stdio: 'pipe' })
  return { folder: join(folder, 'bundle') }
}

export function specOf({ folder }: Unpacked): Spec {
  return JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'))
}

export class Container {
  private readonly id: string
  private readonly state: string
  private readonly child: ChildProcess
  private printed = ''

  constructor(id: string, state: string, child: ChildProcess) {
    this.id = id
    this.state = state
    this.child = child
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', chunk => {
        this.printed += chunk
      })
    }
  }

  output(): string {
    return this.printed
  }

  /** Runs a program in it: exit code and output. */
  run(...words: string[]): { code: number; text: string } {
    const { status, stdout, stderr } = this.runc('exec', this.id, ...words)
    return { code: status ?? -1, text: `${stdout}${stderr}` }
  }

  signal(name: string): void {
    this.runc('kill', this.id, name)
  }

  /** Its exit code once it has ended. */
  async ended(): Promise<number> {
    if (this.child.exitCode === null) await once(this.child, 'exit')
    return this.child.exitCode ?? -1
  }

  remove(): void {
    this.runc('delete', '--force', this.id)
    this.child.kill('SIGKILL')
  }

  async isReady(port: number): Promise<void> {
    const endMs = Date.now() + READY_MS_MAX
    while (Date.now() < endMs && this.child.exitCode === null) {
      if (await accepts(port)) return
      await sleep(POLL_MS)
    }
    throw new Error(`the container does not serve: ${this.printed}`)
  }

  private runc(...words: string[]) {
    const how = { encoding: 'utf8', timeout: COMMAND_MS_MAX } as const
    return spawnSync('runc', ['--root', this.state, ...words], how)
  }
}

/** Starts one, which serves when this resolves; the test that owns it removes it. */
export async function startContainer(
  owner: Owner,
  unpacked: Unpacked,
  options: ContainerOptions,
): Promise<Container> {
  const bundle = mkdtempSync(join(tmpdir(), 'bundle-'))
  owner.teardown(() => rmSync(bundle, { recursive: true, force: true }))
  symlinkSync(join(unpacked.folder, 'rootfs'), join(bundle, 'rootfs'))
  const id = `memslab-${process.pid}-${NUMBERS.count++}`
  const spec = specWith(specOf(unpacked), join(unpacked.folder, 'rootfs'), id, options)
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec))
  const state = join(bundle, 'state')
  const child = spawn('runc', ['--root', state, 'run', '--bundle', bundle, id], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const container = new Container(id, state, child)
  owner.teardown(() => container.remove())
  await container.isReady(options.port)
  return container
}

function specWith(spec: Spec, root: string, id: string, options: ContainerOptions): Spec {
  const { args, env = [], memoryBytes, processors, denied } = options
  const { process, linux, mounts } = spec
  const period = 100_000
  const resources = {
    ...(memoryBytes === undefined ? {} : { memory: { limit: memoryBytes } }),
    ...(processors === undefined ? {} : { cpu: { quota: processors * period, period } }),
  }
  const seccomp = denied && {
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [{ names: denied.names, action: 'SCMP_ACT_ERRNO', errnoRet: denied.errno }],
  }
  return {
    ...spec,
    process: {
      ...process,
      terminal: false,
      args: [...process.args, ...args],
      env: [...process.env, ...env],
      capabilities: {},
      // Raising them needs a right that not every machine gives.
      rlimits: [],
      noNewPrivileges: true,
    },
    root: { path: root, readonly: true },
    // Only its own groups are seen, as in Docker and Kubernetes.
    mounts: [...mounts.filter(({ type }) => type !== 'cgroup'), CGROUPS],
    linux: {
      ...linux,
      namespaces: linux.namespaces.filter(({ type }) => type !== 'network' && type !== 'user'),
      resources,
      cgroupsPath: `/${id}`,
      ...(seccomp && { seccomp }),
    },
  }
}

const CGROUPS = {
  destination: '/sys/fs/cgroup',
  type: 'cgroup',
  source: 'cgroup',
  options: ['nosuid', 'noexec', 'nodev', 'relatime', 'ro'],
}
