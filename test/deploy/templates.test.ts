// The templates for VMs: cloud-init's user-data, the stack of CloudFormation around it, and the
// file of Elastic Beanstalk. The first two have the script that vm.test.ts runs.

import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse, type Tags } from 'yaml'
import { findProgram, skipWithout } from '../support/oracle.ts'

const FOLDER = 'docs/deploy/templates'
const TSC = 'node_modules/typescript/bin/tsc'
const STRICT = ['--ignoreConfig', '--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext']
/** Of the user-data that AWS gives to an instance, before Base64. */
const USER_DATA_BYTES_MAX = 16_384

type Parsed = ReturnType<typeof parse>

const textOf = (name: string) => readFileSync(join(FOLDER, name), 'utf8')

const FUNCTIONS = ['Sub', 'GetAtt', 'Equals', 'If', 'Select']
const nameOf = (name: string) => (name === 'Ref' ? name : `Fn::${name}`)
const TAGS = ['Ref', ...FUNCTIONS].flatMap(name => [
  { tag: `!${name}`, resolve: (text: string) => ({ [nameOf(name)]: text }) },
  {
    tag: `!${name}`,
    collection: 'seq' as const,
    resolve: (list: { toJSON(): unknown }) => ({ [nameOf(name)]: list.toJSON() }),
  },
]) as Tags
const STACK: Parsed = parse(textOf('cloudformation.yaml'), { customTags: TAGS })

/** What the service makes of a value: functions are computed with these parameters. */
function computed(value: Parsed, parameters: Record<string, Parsed>): Parsed {
  const within = (inner: Parsed) => computed(inner, parameters)
  const named = (name: string) => parameters[name] ?? `the-${name}`
  if (Array.isArray(value)) return value.map(within)
  if (typeof value !== 'object' || value === null) return value
  const [[name, argument] = []] = Object.entries(value) as [string, Parsed][]
  if (name === 'Ref') return named(argument)
  if (name === 'Fn::GetAtt') return `the-${argument}`
  if (name === 'Fn::Sub') {
    return argument.replace(/\$\{([^}]+)\}/g, (_: string, key: string) => named(key))
  }
  if (name === 'Fn::If') return within(argument[parameters[argument[0]] === true ? 1 : 2])
  if (name === 'Fn::Join') return within(argument[1]).join(argument[0])
  if (name === 'Fn::Select') return within(argument[1])[Number(argument[0])]
  if (name === 'Fn::Base64') return within(argument)
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, within(inner)]))
}

const EXAMPLE = {
  Package: 'https://example.net/memslab_0.6.0-1_amd64.deb',
  PackageSha256: '0'.repeat(64),
  Etcd: 'http://10.0.0.10:2379',
  Options: '-c 4096',
  Subnets: ['subnet-1', 'subnet-2'],
  MakesEtcd: false,
}

t.test('the script is the same everywhere', async t => {
  const script = textOf('memslab-node.sh')
  t.equal(spawnSync('sh', ['-n'], { input: script }).status, 0)
  const userData = parse(textOf('user-data.yaml'))
  const [settings, file] = userData.write_files
  t.equal(file.content, script)
  t.strictSame(userData.runcmd, [[file.path]])
  t.match(script, `. ${settings.path}\n`)
  for (const line of settings.content.trim().split('\n')) {
    t.match(script, `${line.split('=')[0]}=''`, line)
  }
})

t.test('the stack gives its nodes that user-data', async t => {
  const { UserData } = STACK.Resources.Node.Properties.LaunchTemplateData
  const told = computed(UserData, EXAMPLE)
  t.equal(told, textOf('user-data.yaml'))
  t.ok(told.length < USER_DATA_BYTES_MAX, `${told.length} bytes`)
  const own = parse(computed(UserData, { ...EXAMPLE, MakesEtcd: true }))
  t.match(own.write_files[0].content, "ETCD='http://the-EtcdNode.PrivateIp:2379'")
})

t.test('the properties of the stack are those of the service', async t => {
  const check = (resources: Parsed): string => {
    const lines = Object.entries(resources as Record<string, Parsed>).flatMap(([name, one]) => {
      const [, service, kind] = one.Type.split('::')
      const properties = `${service}${kind}Properties`
      const from = `@awboost/cfn-resource-types/AWS-${service}-${kind}`
      const literal = JSON.stringify(
        computed(one.Properties, { ...EXAMPLE, Nodes: '3', NodesMax: '9' }),
      )
      return [
        `import type { ${properties} as ${name}Properties } from '${from}'`,
        `export const of${name}: ${name}Properties = ${literal}`,
      ]
    })
    const path = join(t.testdir({}), 'stack.mts')
    writeFileSync(path, lines.join('\n'))
    return spawnSync(process.execPath, [TSC, ...STRICT, path], { encoding: 'utf8' }).stdout
  }
  t.equal(check(STACK.Resources), '')
  const wrong = structuredClone(STACK.Resources)
  wrong.Pool.Properties.Launchtemplate = {}
  t.match(check(wrong), /Launchtemplate/)
})

t.test('what the stack refers to exists, and all parameters are used', async t => {
  const known = new Set([...Object.keys(STACK.Parameters), ...Object.keys(STACK.Resources)])
  const used = new Set<string>()
  JSON.stringify(STACK, (key, value) => {
    if (key === 'Ref') used.add(value)
    if (key === 'Fn::GetAtt') used.add(value.split('.')[0])
    if (key === 'Fn::Sub') for (const [, name] of value.matchAll(/\$\{([^}.]+)/g)) used.add(name)
    if (key === 'Fn::If') t.ok(STACK.Conditions[value[0]])
    if (key === 'Condition') t.ok(STACK.Conditions[value])
    return value
  })
  const missing = [...used].filter(name => !known.has(name) && !name.startsWith('AWS::'))
  t.strictSame(missing, [])
  t.strictSame(
    Object.keys(STACK.Parameters).filter(name => !used.has(name)),
    [],
  )
})

t.test('only the application and the pool itself reach it', async t => {
  for (const { Type, Properties } of Object.values(STACK.Resources) as Parsed[]) {
    const rules = Type === 'AWS::EC2::SecurityGroupIngress' ? [Properties] : []
    for (const rule of [...rules, ...(Properties.SecurityGroupIngress ?? [])]) {
      t.match(rule.SourceSecurityGroupId.Ref, /^(ApplicationGroup|PoolGroup)$/)
      t.notOk(rule.CidrIp ?? rule.CidrIpv6)
      t.equal(rule.FromPort, rule.ToPort)
    }
  }
})

t.test('cloud-init accepts the user-data', { skip: skipWithout('cloud-init') }, async t => {
  const accepts = (path: string) => {
    const words = ['schema', '--config-file', path]
    return spawnSync(findProgram('cloud-init') ?? '', words, { encoding: 'utf8' })
  }
  t.match(accepts(join(FOLDER, 'user-data.yaml')), { status: 0, stdout: /^Valid/ })
  const folder = t.testdir({ wrong: `${textOf('user-data.yaml')}packages: 5\n` })
  t.not(accepts(join(folder, 'wrong')).status, 0)
  const etcd = computed(STACK.Resources.EtcdNode.Properties.UserData, EXAMPLE)
  writeFileSync(join(folder, 'etcd'), etcd)
  t.match(accepts(join(folder, 'etcd')), { status: 0 })
})

t.test('Elastic Beanstalk gets settings of its name spaces', async t => {
  const { option_settings: settings } = parse(textOf('elastic-beanstalk.config'))
  t.strictSame(Object.keys(settings), [
    'aws:elasticbeanstalk:application:environment',
    'aws:autoscaling:launchconfiguration',
  ])
  t.match(settings['aws:elasticbeanstalk:application:environment'].MEMSLAB_ETCD, /^http:/)
  t.match(settings['aws:autoscaling:launchconfiguration'].SecurityGroups, /^sg-/)
})
