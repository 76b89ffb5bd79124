// The manifests for Kubernetes: valid by the published schemas, without fields that these do not
// have, and true to each other, to the daemon's options and to the alerts of the docs.

import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { MIB } from '../../lib/bytes/units.ts'
import { readCommandLine } from '../../lib/cli.ts'
import { isRefusal } from '../../lib/options/options.ts'
import { findProgram } from '../support/oracle.ts'

const FOLDER = 'docs/deploy/kubernetes'
const TSC = 'node_modules/typescript/bin/tsc'
const STRICT = [
  '--ignoreConfig',
  '--noEmit',
  '--strict',
  '--skipLibCheck',
  '--module',
  'nodenext',
  '--target',
  'es2022',
]
/** Of the kinds in use. */
const MODULES: Readonly<Record<string, string>> = {
  ConfigMap: 'kubernetes-models/v1',
  Service: 'kubernetes-models/v1',
  StatefulSet: 'kubernetes-models/apps/v1',
  PodDisruptionBudget: 'kubernetes-models/policy/v1',
  NetworkPolicy: 'kubernetes-models/networking.k8s.io/v1',
  ServiceMonitor: '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1',
  PrometheusRule: '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1',
}

/** As the parser gives it: what is in it is for the schemas to say. */
type Manifest = ReturnType<typeof parse>
interface Model {
  validate(): void
}

const manifests: Manifest[] = ['pool', 'monitored'].flatMap(part =>
  readdirSync(join(FOLDER, part))
    .filter(name => name.endsWith('.yaml') && name !== 'kustomization.yaml')
    .map(name => parse(readFileSync(join(FOLDER, part, name), 'utf8'))),
)

function manifestOf(kind: string): Manifest {
  const found = manifests.find(manifest => manifest.kind === kind)
  if (found === undefined) throw new Error(`no ${kind}`)
  return found
}

async function faultOf(manifest: Manifest): Promise<string | undefined> {
  const { [manifest.kind]: Kind } = (await import(MODULES[manifest.kind])) as {
    [kind: string]: new (data: Manifest) => Model
  }
  try {
    new Kind(manifest).validate()
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

/** What the compiler says of them as literals: a field that no schema has is an error there. */
function compile(folder: string, all: readonly Manifest[]): string {
  const lines = all.flatMap((manifest, i) => [
    `import type { I${manifest.kind} as Kind${i} } from '${MODULES[manifest.kind]}'`,
    `export const manifest${i}: Kind${i} = ${JSON.stringify(manifest)}`,
  ])
  const path = join(folder, 'manifests.mts')
  writeFileSync(path, lines.join('\n'))
  return spawnSync(process.execPath, [TSC, ...STRICT, path], { encoding: 'utf8' }).stdout
}

t.test('the schemas accept the manifests', async t => {
  t.same(manifests.map(({ kind }) => kind).sort(), Object.keys(MODULES).slice(1).sort())
  for (const manifest of manifests) t.equal(await faultOf(manifest), undefined, manifest.kind)
  t.equal(compile(t.testdir({}), manifests), '')
})

t.test('and no others', async t => {
  const set = structuredClone(manifestOf('StatefulSet'))
  set.spec.replicas = '3'
  t.match(await faultOf(set), /replicas/)
  const typo = structuredClone(manifestOf('StatefulSet'))
  typo.spec.template.spec.containers[0].readinesProbe = {}
  t.match(compile(t.testdir({}), [typo]), /readinesProbe/)
})

t.test('names, labels and ports meet', async t => {
  const set = manifestOf('StatefulSet')
  const service = manifestOf('Service')
  const labels = set.spec.template.metadata.labels
  t.equal(set.spec.serviceName, service.metadata.name)
  for (const selector of [
    set.spec.selector.matchLabels,
    service.spec.selector,
    manifestOf('PodDisruptionBudget').spec.selector.matchLabels,
    manifestOf('NetworkPolicy').spec.podSelector.matchLabels,
  ]) {
    t.same(selector, labels)
  }
  t.match(service.metadata.labels, manifestOf('ServiceMonitor').spec.selector.matchLabels)
  t.equal(service.metadata.labels[manifestOf('ServiceMonitor').spec.jobLabel], 'memslab')
  const [container] = set.spec.template.spec.containers
  const names = container.ports.map(({ name }: { name: string }) => name).sort()
  const named = (list: { name: string }[]) => list.map(({ name }) => name).sort()
  t.same(named(service.spec.ports), names)
  for (const rule of manifestOf('NetworkPolicy').spec.ingress) {
    for (const { port } of rule.ports) t.ok(names.includes(port), port)
  }
  for (const { port } of manifestOf('ServiceMonitor').spec.endpoints) t.ok(names.includes(port))
})

t.test('the daemon takes the options, and serves where the probes ask', async t => {
  const [container] = manifestOf('StatefulSet').spec.template.spec.containers
  const command = await readCommandLine(['--config', join(FOLDER, 'pool/memslab.conf')])
  if (isRefusal(command) || command.action !== 'serve') throw new Error(JSON.stringify(command))
  const { options } = command
  const ports = Object.fromEntries(
    container.ports.map((port: Manifest) => [port.name, port.containerPort]),
  )
  t.equal(options.port, ports.memcache)
  t.match(options.admin, { port: ports.admin, host: '0.0.0.0' })
  const [mount] = container.volumeMounts.filter(({ name }: Manifest) => name === 'content')
  t.ok(options.memoryFile?.startsWith(`${mount.mountPath}/`), 'the content is on the volume')
  t.ok(options.memoryLimitBytes >= 16 * MIB)
  for (const [probe, path] of [
    ['startupProbe', '/healthz'],
    ['livenessProbe', '/healthz'],
    ['readinessProbe', '/readyz'],
  ]) {
    t.same(container[probe].httpGet, { path, port: 'admin' })
  }
})

t.test('a pod that leaves hands its items to those that DNS has', async t => {
  const set = manifestOf('StatefulSet')
  const { preStop } = set.spec.template.spec.containers[0].lifecycle
  const [shell, flag, script] = preStop.exec.command
  t.same([shell, flag], ['/bin/sh', '-c'])
  const folder = t.testdir({})
  // What it calls, in place of the programs of the image.
  for (const name of ['sleep', 'memslab']) {
    writeFileSync(join(folder, name), `#!/bin/sh\necho ${name} "$@"\n`, { mode: 0o755 })
  }
  const env = { PATH: `${folder}:/usr/bin:/bin`, POD: 'memslab-1', NAMESPACE: 'shop' }
  const said = execFileSync(shell, [flag, script], { env, encoding: 'utf8' })
  const domain = `${set.spec.serviceName}.shop.svc.cluster.local`
  const [, seconds] = /^sleep (\d+)\n/.exec(said) ?? []
  t.equal(
    said,
    `sleep ${seconds}\nmemslab drain memslab-1.${domain}:11211 --to srv:_memcache._tcp.${domain}\n`,
  )
  t.ok(Number(seconds) * 2 < set.spec.template.spec.terminationGracePeriodSeconds)
})

t.test('the rules are those of the docs', async t => {
  const { groups } = parse(readFileSync('docs/monitoring/alerts.yml', 'utf8'))
  t.same(manifestOf('PrometheusRule').spec.groups, groups)
})

// Debian's is too old for a kustomization that has another one among its resources.
const kubectl = findProgram('kubectl') ?? ''
const skip = kubectl === '' && 'needs kubectl'
t.test('kustomize builds both', { skip }, async t => {
  const version = parse(readFileSync('package.json', 'utf8')).version
  for (const part of ['pool', 'monitored']) {
    const words = ['kustomize', join(FOLDER, part)]
    const text = execFileSync(kubectl, words, { encoding: 'utf8' })
    const built = parseAllDocuments(text).map(document => document.toJS() as Manifest)
    t.equal(built.length, part === 'pool' ? 5 : 7)
    for (const manifest of built) t.equal(await faultOf(manifest), undefined, manifest.kind)
    const set = built.find(({ kind }) => kind === 'StatefulSet')
    const map = built.find(({ kind }) => kind === 'ConfigMap')
    const [options] = set?.spec.template.spec.volumes ?? []
    t.equal(options.configMap.name, map?.metadata.name, 'a changed file restarts the pods')
    const [{ image }] = set?.spec.template.spec.containers ?? []
    t.ok(image.endsWith(`/memslab:${version}`), image)
  }
})
