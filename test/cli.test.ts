// The command line: the options of each argument, and the messages of refusals. The last tests run
// the program, and compare refusals with memcached's.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { GIB, KIB, MIB } from '../lib/bytes/units.ts'
import { type Command, readCommandLine } from '../lib/cli.ts'
import { checkOptions } from '../lib/options/checks.ts'
import { DEFAULTS, isRefusal, type Options, type Refusal } from '../lib/options/options.ts'
import { findProgram, skipWithout } from './support/oracle.ts'

const MAIN = fileURLToPath(new URL('../lib/main.ts', import.meta.url))
const RUN_MS_MAX = 10_000

const NO_MODERN: Partial<Options> = {
  slabReassign: false,
  slabAutomove: 0,
  maxconnsFast: false,
  eviction: 'lru',
  hashAlgorithm: 'jenkins',
  lruCrawler: false,
  lruMaintainer: false,
}
const AUTOMOVE: Partial<Options> = { slabAutomoveRatio: 0.5, slabAutomoveWindow: 3 }
const CLUSTER: Partial<Options> = { clusterNodes: ['a|a|1', '::1|::1|2', 'h|10.0.0.1|3'] }
const LOGBUFS: Partial<Options> = { watcherLogbufBytes: KIB, workerLogbufBytes: 2 * KIB }
const TLS_FILES: Partial<Options> = { sslKeyFormat: 'DER', sslCiphers: 'c', sslCaCert: 'd' }

const ACCEPTED: [args: string, changes: Partial<Options>][] = [
  ['', {}],
  ['-p 22122', { port: 22122 }],
  ['-p22122', { port: 22122 }],
  ['--port 22122', { port: 22122 }],
  ['--port=22122', { port: 22122 }],
  ['--po=22122', { port: 22122 }],
  ['-p 1 -p 2', { port: 2 }],
  ['-p -1', { port: 0 }],
  ['-m64', {}],
  ['-m 128', { memoryLimitBytes: 128 * MIB }],
  ['-m 128m', { memoryLimitBytes: 128 * MIB }],
  ['--memory-limit 2', { memoryLimitBytes: 2 * MIB }],
  ['-dm128', { daemonize: true, memoryLimitBytes: 128 * MIB }],
  ['-d', { daemonize: true }],
  ['-v', { verbosity: 1 }],
  ['-vvv', { verbosity: 3 }],
  ['-vv --verbose -dv', { verbosity: 4, daemonize: true }],
  ['-M', { evictions: false }],
  ['--disable-evictions', { evictions: false }],
  ['-t 8', { threads: 8 }],
  ['-c 10', { connectionsMax: 10 }],
  ['-b 0', { backlog: 0 }],
  ['-I 2048', { itemSizeMax: 2 * KIB }],
  ['-I 1k', { itemSizeMax: KIB }],
  ['-I 2K', { itemSizeMax: 2 * KIB }],
  ['-I 32m', { itemSizeMax: 32 * MIB }],
  ['-m 2048 -I 1024m', { memoryLimitBytes: 2 * GIB, itemSizeMax: GIB }],
  ['-m 2048 -I 1g', { memoryLimitBytes: 2 * GIB, itemSizeMax: GIB }],
  ['-f 1.5', { growthFactor: 1.5 }],
  ['-f 1e1', { growthFactor: 10 }],
  ['-n 72', { chunkMinBytes: 72 }],
  ['-k', { lockMemory: true }],
  ['-u daemon', { user: 'daemon' }],
  ['-P /run/a.pid', { pidFile: '/run/a.pid' }],
  ['-F -X -W', { flushAllowed: false, dumpAllowed: false, watchAllowed: false }],
  ['-C -A -L -r', { casEnabled: false, shutdownAllowed: true, largePages: true, coreDumps: true }],
  ['-D /:', { detailPrefix: '/', detailEnabled: true }],
  ['-N 2', { napiIds: 2 }],
  ['-U 0', {}],
  ['-U 11299', { udpPort: 11299, port: 11299 }],
  ['-U 11299 -p 5', { udpPort: 11299, port: 5 }],
  ['-U -1 -p 5', { udpPort: -1, port: 5 }],
  ['-U -1', { udpPort: -1, port: 0 }],
  ['-U -1 -p -1', { udpPort: -1, port: 0 }],
  ['-U 0 -p 0 -s /tmp/a', { unixSocket: '/tmp/a', port: 0, tcpEnabled: false }],
  ['-U 11299 -p 0', { udpPort: 11299, port: 0, tcpEnabled: false }],
  ['-s /tmp/a -a 770', { unixSocket: '/tmp/a', unixMask: 0o770, tcpEnabled: false }],
  ['-s /tmp/a -p 0 -U 5', { unixSocket: '/tmp/a', port: 0, tcpEnabled: false }],
  ['-S', { sasl: true, protocol: 'binary' }],
  ['-S -B binary -o sasl_pwdb=a', { sasl: true, protocol: 'binary', saslFile: 'a' }],
  ['-Y a', { authFile: 'a', protocol: 'ascii' }],
  ['-Y a -S', { authFile: 'a', sasl: true }],
  ['-Y a -S -B auto', { authFile: 'a', sasl: true }],
  ['-Y a -S -B ascii', { authFile: 'a', sasl: true, protocol: 'ascii' }],
  ['-B binary', { protocol: 'binary' }],
  ['-B ascii', { protocol: 'ascii' }],
  ['-B ascii -B auto', {}],
  ['-R 5', { requestsPerEventMax: 5 }],
  ['-o maxconns_fast', {}],
  ['-o no_maxconns_fast', { maxconnsFast: false }],
  ['-o no_modern', NO_MODERN],
  ['-o no_modern,maxconns_fast', { ...NO_MODERN, maxconnsFast: true }],
  ['-o hashpower=20,track_sizes', { hashpowerInit: 20, trackSizes: true }],
  ['-o hashpower=20 -o track_sizes', { hashpowerInit: 20, trackSizes: true }],
  ['-o modern,lru_crawler,lru_maintainer,slab_reassign,slab_automove', {}],
  ['-o no_lru_crawler,no_slab_reassign', { lruCrawler: false, slabReassign: false }],
  ['-o no_lru_maintainer', { lruMaintainer: false, eviction: 'lru' }],
  ['-o no_lru_maintainer,lru_maintainer', {}],
  ['-o eviction=segmented', { eviction: 'segmented' }],
  ['-o slab_automove=2,hash_algorithm=xxh3', { slabAutomove: 2, hashAlgorithm: 'xxh3' }],
  ['-o no_slab_automove,no_hashexpand', { slabAutomove: 0, hashExpand: false }],
  ['-o hot_lru_pct=10,warm_lru_pct=30', { hotLruPct: 10, warmLruPct: 30 }],
  ['-o hot_max_factor=0.5,warm_max_factor=3', { hotMaxFactor: 0.5, warmMaxFactor: 3 }],
  ['-o temporary_ttl=30', { temporaryTtlS: 30, temporaryLru: true }],
  ['-o idle_timeout=0', {}],
  ['-o idle_timeout=9,tail_repair_time=10', { idleTimeoutS: 9, tailRepairTimeS: 10 }],
  ['-o lru_crawler_sleep=5,lru_crawler_tocrawl=7', { lruCrawlerSleepUs: 5, lruCrawlerToCrawl: 7 }],
  ['-o slab_automove_ratio=0.5,slab_automove_window=3', AUTOMOVE],
  ['-o slab_sizes=100-200-400', { slabSizes: [100, 200, 400] }],
  ['-o slab_automove_freeratio=0.2', { slabAutomoveFreeRatio: 0.2 }],
  ['-o slab_chunk_max=16,no_chunked_items', { slabChunkMaxBytes: 16384 }],
  ['-o watcher_logbuf_size=1,worker_logbuf_size=2', LOGBUFS],
  ['-o cluster_nodes=a:1;[::1]:2;h|10.0.0.1|3', CLUSTER],
  ['-o read_buf_mem_limit=3', { readBufMemLimitBytes: 3 * MIB }],
  ['-o resp_obj_mem_limit=3,inline_ascii_resp,no_inline_ascii_resp', {}],
  ['-o drop_privileges,no_drop_privileges,sock_cookie_id=3', {}],
  ['-Z -o ssl_chain_cert=a,ssl_key=b', { tls: true, sslChainCert: 'a', sslKey: 'b' }],
  ['-o ssl_keyformat=DER,ssl_ciphers=c,ssl_ca_cert=d', TLS_FILES],
  ['-o ssl_keyformat=1', {}],
  ['-o ssl_verify_mode=3,ssl_wbuf_size=32', { sslVerifyMode: 3, sslWbufSize: 32 * KIB }],
  ['-o ssl_session_cache,ssl_kernel_tls', { sslSessionCache: true, sslKernelTls: true }],
  ['-o ssl_min_version=3', { sslMinVersion: 'tlsv1.3' }],
  ['-o ssl_min_version=tlsv1.1', { sslMinVersion: 'tlsv1.1' }],
  ['-o ssl_engine=node', { sslEngine: 'node' }],
  ['-o ssl_engine=direct', {}],
  ['-o ,', {}],
  ['--', {}],
]

const LISTENERS: [args: string, listen: [host: string, port: number][]][] = [
  ['-l 127.0.0.1', [['127.0.0.1', 11211]]],
  ['-l127.0.0.1', [['127.0.0.1', 11211]]],
  ['-l 127.0.0.1 -p 5', [['127.0.0.1', 5]]],
  ['-l 127.0.0.1:6 -p 5', [['127.0.0.1', 6]]],
  ['-l localhost:6', [['localhost', 6]]],
  ['-l ::1', [['::1', 11211]]],
  ['-l [::1]', [['::1', 11211]]],
  ['-l [::1]:6', [['::1', 6]]],
  [
    '-l 127.0.0.1,[::1]:6;10.0.0.1',
    [
      ['127.0.0.1', 11211],
      ['::1', 6],
      ['10.0.0.1', 11211],
    ],
  ],
  [
    '-l 127.0.0.1 -p 5 --listen=::1',
    [
      ['127.0.0.1', 5],
      ['::1', 5],
    ],
  ],
  [
    '-l *:6',
    [
      ['0.0.0.0', 6],
      ['::', 6],
    ],
  ],
  ['-l 127.0.0.1:-1', [['127.0.0.1', 0]]],
  ['-l 127.0.0.1:0', [['127.0.0.1', 0]]],
  ['-l 127.0.0.1 -p -1', [['127.0.0.1', 0]]],
  ['-l 127.0.0.1 -U 5', [['127.0.0.1', 5]]],
  ['-l 127.0.0.1 -U -1', [['127.0.0.1', 0]]],
]

const REFUSED: [args: string, exitCode: number, line: string][] = [
  ['-z', 1, 'Illegal argument "-z"'],
  ['-dz', 1, 'Illegal argument "-z"'],
  ['--zork', 1, 'Illegal argument "--zork"'],
  ['--mem 3', 1, 'Illegal argument "--mem": it could be any of --memory-limit --memory-file'],
  ['--port', 1, 'Illegal argument "-p": --port needs a value'],
  ['-vp', 1, 'Illegal argument "-p": --port needs a value'],
  ['--daemon=yes', 1, 'Illegal argument "--daemon=yes": --daemon takes no value'],
  ['-p abc', 64, 'ERROR: Invalid port number abc.'],
  ['-p 70000', 64, 'ERROR: Invalid port number 70000.'],
  ['-p -2', 64, 'ERROR: Invalid port number -2.'],
  ['-m 2g', 1, 'Illegal value "2g" for -m: a whole number is needed'],
  ['-m 9999999', 64, 'Memory limit must be from 0 to 1048576 megabytes'],
  ['-t 3x', 1, 'Illegal value "3x" for -t: a whole number is needed'],
  ['-t 257', 1, 'Number of threads must be a whole number, at most 256'],
  ['-c 99999999', 1, 'Maximum connections must be a whole number, at most 1048576'],
  ['-b -1', 1, 'Listen backlog must be a whole number from 0 to 2147483647'],
  ['-n 5000000', 1, 'Chunk size must be a whole number, at most 16384'],
  ['-I 1t', 1, 'Illegal value "1t" for -I: a whole number is needed'],
  ['-m 0', 64, 'A memory limit of 0 leaves no room for items'],
  ['-l ,', 1, '-l names no address (* is every interface)'],
  ['--etcd ,', 1, '--etcd names no endpoint'],
  ['foo', 64, wordRefusal('foo')],
  ['-u a -v foo bar', 64, wordRefusal('foo')],
  ['-- -m 3', 64, wordRefusal('-m')],
  ['-f abc', 1, 'Illegal value "abc" for -f: a number is needed'],
  ['-U 70000', 64, 'ERROR: Invalid UDP port number 70000.'],
  [
    '-B foo',
    64,
    'Invalid value for binding protocol: foo -- should be one of auto, binary, or ascii',
  ],
  ['-a 999', 1, 'Illegal value "999" for -a: an octal number is needed'],
  ['-a 1000', 1, 'Access mask of the UNIX socket must be from 0 to 777, in octal'],
  ['-o ext_path=a:1G', 1, '-o ext_path is not supported: memslab keeps items in memory only'],
  ['-o slab_sizes=10', 64, 'slab size 10 is out of valid range'],
  ['-o idle_timeout=abc', 1, 'Illegal value "abc" for -o idle_timeout: a whole number is needed'],
  ['-Z', 64, 'Error loading the certificate chain: -Z needs -o ssl_chain_cert=<file>'],
  ['-o eviction', 1, 'Missing eviction argument'],
  ['-o eviction=foo', 1, 'eviction may be lru, segmented, worth, not "foo"'],
  ['-o cluster_nodes', 1, 'Missing cluster_nodes argument'],
  ['-o cluster_nodes=a', 1, nodeRefusal('a')],
  ['-o cluster_nodes=a:1;::1:2', 1, nodeRefusal('::1:2')],
  ['-o cluster_nodes=a:b', 1, nodeRefusal('a:b')],
  ['-o cluster_nodes=a|b|c', 1, nodeRefusal('a|b|c')],
  ['-o ssl_min_version=4', 1, 'Invalid ssl_min_version. Use help to see valid options.'],
  ['-o ssl_engine=rust', 1, 'ssl_engine may be direct or node, not "rust"'],
  ['-o ssl_engine', 1, 'Missing ssl_engine argument'],
  ['-S -l proto[ascii]:h', 64, 'ERROR: You cannot allow the ASCII protocol while using SASL.'],
  ['-S -l proto[auto]:h', 64, 'ERROR: You cannot allow the ASCII protocol while using SASL.'],
  [
    '-Y a -l proto[binary]:h',
    64,
    'ERROR: You cannot allow the BINARY protocol while using ascii authentication tokens.',
  ],
  [
    '-o slab_chunk_max=3',
    64,
    '-I (item_size_max: 1048576) must be evenly divisible by slab_chunk_max (bytes: 3072)',
  ],
  [
    '-I 8k -o slab_chunk_max=16',
    64,
    'slab_chunk_max (bytes: 16384) cannot be larger than -I (item_size_max 8192)',
  ],
  ['-o slab_chunk_max=2048', 1, 'slab_chunk_max must be specified in kilobytes.'],
  ['-o ssl_keyformat=ENGINE', 1, 'could not parse argument to ssl_keyformat'],
  ['-o track_sizes,,no_such', 1, 'Illegal suboption "no_such"'],
  ['-o hashpower=0', 1, 'Initial hashtable multiplier of 0 is too low'],
  ['-l [::1', 71, 'Invalid IPV6 address: "[::1"'],
  ['-l 127.0.0.1:99999', 71, 'Invalid port number: "99999"'],
  ['-l notls:127.0.0.1', 71, "'notls' option is valid only when SSL is enabled"],
  ['-l proto[foo]:127.0.0.1', 71, 'Invalid protocol spec: "foo"'],
  ['-l proto[ascii]:tag[]:h', 71, 'Listener tags must be between 1 and 8 characters: ""'],
  ['--etcd http://a%zz@h:1', 1, 'Illegal endpoint "http://a%zz@h:1" of --etcd'],
]

// memcached's messages and exit codes.
const SAME_AS_ORACLE = [
  '-p 70000',
  '-t 0',
  '-c 0',
  '-R 0',
  '-n 0',
  '-f 1',
  '-f 0.5',
  '-I 1023',
  '-I 33m',
  '-m 1',
  '-p -1 -S -B auto',
  '-p -1 -S -B ascii',
  '-p -1 -S -U 11299',
  '-p -1 -Y f -B auto',
  '-p -1 -Y f -B binary',
  '-p -1 -Y f -U 5',
  '-o slab_automove=3',
  '-o slab_automove_ratio',
  '-o slab_automove_ratio=0',
  '-o slab_automove_window=2',
  '-o hot_lru_pct=0',
  '-o warm_lru_pct=80',
  '-p -1 -o hot_lru_pct=50,warm_lru_pct=40',
  '-o hot_max_factor=0',
  '-o warm_max_factor',
  '-p -1 -o temporary_ttl=5,no_lru_maintainer',
  '-o lru_crawler_sleep',
  '-o lru_crawler_sleep=1000001',
  '-o lru_crawler_tocrawl',
  '-o lru_crawler_tocrawl=a',
  '-o tail_repair_time',
  '-o tail_repair_time=9',
  '-o idle_timeout',
  '-o watcher_logbuf_size',
  '-o watcher_logbuf_size=a',
  '-o worker_logbuf_size=a',
  '-o read_buf_mem_limit=a',
  '-o ssl_chain_cert',
  '-o ssl_verify_mode=4',
  '-o ssl_verify_mode=a',
  '-o ssl_min_version=4',
  '-o ssl_min_version=a',
  '-o ssl_wbuf_size=a',
  '-N 0',
  '-p -1 -N 9',
  '-o slab_sizes=100-100',
  '-o slab_sizes=100-90',
  '-o slab_sizes=100-104',
  '-o slab_sizes=1-100',
  '-m 4096 -I 1025m',
  '-o foo=3',
  '-o hashpower',
  '-o hashpower=5',
  '-o hashpower=64',
  '-o hash_algorithm',
  '-o hash_algorithm=foo',
  '-o temporary_ttl',
  '-l 127.0.0.1:abc',
  '-l 127.0.0.1:',
]

t.test('arguments become options', async t => {
  for (const [args, changes] of ACCEPTED) {
    t.same(optionsFrom(await read(args)), { ...DEFAULTS, ...changes }, args)
  }
})

t.test('listeners have their own port, or that of -p', async t => {
  for (const [args, listen] of LISTENERS) {
    const expected = listen.map(([host, port]) => ({ host, port }))
    t.same(optionsFrom(await read(args)).listen, expected, args)
  }
  const prefixed = '-Z -o ssl_chain_cert=a -l mtls:proto[ascii]:tag_tools_:[::1]:5,notls:tag[x]:h'
  t.same(optionsFrom(await read(prefixed)).listen, [
    { host: '::1', port: 5, tls: 'mutual', protocol: 'ascii', tag: 'tools' },
    { host: 'h', port: 11211, tls: 'none', tag: 'x' },
  ])
  const { listenText } = optionsFrom(await read('-l 127.0.0.1 -l ::1'))
  t.equal(listenText, '127.0.0.1,::1')
})

t.test('impossible values are refused in one line', async t => {
  for (const [args, exitCode, line] of REFUSED) t.same(await read(args), { line, exitCode }, args)
})

t.test('an empty value, as of an unset variable, is refused', async t => {
  const NO_VALUES = ['-p', '-m', '-l', '-s', '-c', '-t', '-I', '-f', '-n', '-b', '-B', '-a', '-D']
  for (const option of [...NO_VALUES, '-R', '-N', '-U', '--etcd', '--allow', '-l=', '--listen=']) {
    t.ok(isRefusal(await readCommandLine([option, ''])), option)
  }
  t.same(await readCommandLine(['-l', ' ']), {
    line: '-l names no address (* is every interface)',
    exitCode: 1,
  })
})

t.test('-h, -i and -V win over whatever follows them', async t => {
  t.same(await read('-h --zork'), { action: 'help' })
  t.same(await read('-vVz'), { action: 'version' })
  t.same(await read('--license'), { action: 'license' })
})

t.test('options without effect give a warning', async t => {
  t.same(warningsFrom(await read('-u a -k')), [
    'warning: -k has no effect, memory cannot be locked from Node.js',
  ])
  t.same(warningsFrom(await read('-u a -t 65')), [
    'WARNING: Setting a high number of workerthreads is not recommended.',
  ])
  const asRoot = process.getuid?.() === 0
  t.same(warningsFrom(await read('-u a -p 0')), ['warning: -p 0 without -s or -U leaves no way in'])
  t.same(warningsFrom(await read('-u a -p 0 -U 11211')), [])
  const expected = ['warning: running as root, -u <user> would run it as somebody else']
  t.same(warningsFrom(await read('')), asRoot ? expected : [])
})

t.test('normalised arguments give the same options', async t => {
  const command = await read('-dvvp5 -l ::1 -m 99 -l 127.0.0.1 -I2m --thr 3')
  if (isRefusal(command) || command.action !== 'serve') throw new Error('refused')
  t.same(await readCommandLine(command.args), command)
})

t.test('settings of a program are checked too', async t => {
  t.same(checkOptions(), DEFAULTS)
  t.same(checkOptions({ port: 0, threads: 2 }), { ...DEFAULTS, port: 0, threads: 2 })
  t.match(checkOptions({ threads: 1.5 }), { exitCode: 1 })
  t.match(checkOptions({ threads: Number.NaN }), { exitCode: 1 })
  t.match(checkOptions({ memoryLimitBytes: Number.NaN }), { exitCode: 64 })
  t.match(checkOptions({ itemSizeMax: 1500.5 }), { exitCode: 64 })
  t.match(checkOptions({ growthFactor: Number.POSITIVE_INFINITY }), { exitCode: 1 })
  t.match(checkOptions({ listen: [{ host: '::', port: -1 }] }), { exitCode: 71 })
})

t.test('the program prints help, version and license', async t => {
  const help = run(process.execPath, [MAIN, '-h'])
  t.equal(help.status, 0)
  t.match(
    help.stdout,
    /^memslab \d+\.\d+\.\d+ \(memcached 1\.6\.\d+\)\n-p, --port=<num> {10}TCP port /,
  )
  t.match(help.stdout, /\n-M, --disable-evictions {3}\S/)
  t.match(help.stdout, /\n-s, --unix-socket=<file> {2}\S/)
  const version = run(process.execPath, [MAIN, '-V'])
  t.match(version, {
    status: 0,
    stderr: '',
    stdout: /^memslab \d+\.\d+\.\d+ \(memcached 1\.6\.\d+\)\n$/,
  })
  t.match(run(process.execPath, [MAIN, '-i']), { status: 0, stdout: /^MIT License\n/ })
})

t.test('help and version are printed without loading the server', async t => {
  const told = '{load(url,context,next){console.error(url)'
  const hooks = `import{registerHooks}from'node:module';registerHooks(${told};return next(url,context)}})`
  for (const option of ['-h', '-V', '-i']) {
    const listing = ['--import', `data:text/javascript,${encodeURIComponent(hooks)}`]
    const { status, stderr } = run(process.execPath, [...listing, MAIN, option])
    t.equal(status, 0)
    t.match(stderr, /\/lib\/cli\.ts\n/)
    t.notMatch(
      stderr,
      /node_modules|\/lib\/(engine|protocol)\/(?!limits\.ts)|daemon\.ts|process\.ts/,
    )
  }
})

t.test('output that cannot be written does not crash', async t => {
  const crash = `process.on('uncaughtException',()=>process.exit(99))`
  const node = [process.execPath, '--import', `data:text/javascript,${crash}`, MAIN]
  const ring = ['-c', 'echo key | "$0" "$@" >/dev/full', ...node, 'ring', 'a:1']
  t.equal(run('/bin/sh', ring).status, 1)
  const servers = ['127.0.0.1:1', '--to', '127.0.0.1:2']
  const drain = ['-c', '"$0" "$@" 2>/dev/full', ...node, 'drain', ...servers]
  t.equal(run('/bin/sh', drain).status, 1)
})

t.test('help that cannot be written does not crash', async t => {
  const shell = ['-c', '"$0" "$@" >/dev/full', process.execPath, MAIN, '-h']
  const { status, stderr } = run('/bin/sh', shell)
  t.same([status, stderr], [1, ''])
})

t.test('the program refuses in one line on stderr', async t => {
  for (const [args, exitCode, line] of [REFUSED[0], REFUSED[8]]) {
    const { status, stdout, stderr } = run(process.execPath, [MAIN, ...words(args)])
    t.same([status, stdout, stderr], [exitCode, '', `${line}\n`], args)
  }
})

t.test('a Node that is too old gets one line', async t => {
  for (const version of ['18.20.4', '24.20.0', '25.9.0', '26.5.9']) {
    const versions = `{value:{...process.versions,node:'${version}'}}`
    const older = `data:text/javascript,Object.defineProperty(process,'versions',${versions})`
    const { status, stdout, stderr } = run(process.execPath, ['--import', older, MAIN, '-V'])
    t.equal(status, 1)
    t.equal(stdout, '')
    t.match(stderr, new RegExp(`^memslab needs Node.js 26.6 .* this is ${version}\n$`))
  }
})

t.test('refusals are those of memcached', { skip: skipWithout('memcached') }, async t => {
  const oracle = findProgram('memcached') ?? ''
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
  for (const args of SAME_AS_ORACLE) {
    const theirs = run(oracle, [...user, ...words(args)])
    const ours = await read(args)
    if (!isRefusal(ours)) t.fail(`${args} was not refused`)
    else {
      t.equal(ours.exitCode, theirs.status, args)
      t.ok(theirs.stderr.split('\n').includes(ours.line), `${args}: ${ours.line}`)
    }
  }
})

function read(args: string): Promise<Command | Refusal> {
  return readCommandLine(words(args))
}

function words(args: string): string[] {
  return args.split(' ').filter(word => word !== '')
}

function optionsFrom(command: Command | Refusal): Options {
  if (isRefusal(command)) throw new Error(command.line)
  if (command.action !== 'serve') throw new Error(command.action)
  return command.options
}

function warningsFrom(command: Command | Refusal): string[] {
  return 'warnings' in command ? command.warnings : ['refused']
}

function run(command: string, args: string[]) {
  return spawnSync(command, args, { encoding: 'utf8', timeout: RUN_MS_MAX })
}

function wordRefusal(word: string): string {
  return `Unknown word "${word}": memslab ring, drain, doctor, completion, snapshot, restore, warm, acl, top, upgrade, scale, a file of options, or options (memslab -h)`
}

function nodeRefusal(node: string): string {
  return `Illegal node "${node}" in cluster_nodes: host:port or host|ip|port is needed`
}
