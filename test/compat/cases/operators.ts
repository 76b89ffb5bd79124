/** Edge cases of operators' commands, with valid and invalid words. */
import type { Case, Group } from './case.ts'

/** A case for each line, named by the line. */
function linesOf(...lines: string[]): Case[] {
  return lines.map((line): Case => [line, `${line}\r\n`])
}

const crawler = linesOf(
  'lru_crawler',
  'lru_crawler foo',
  'lru_crawler enable',
  'lru_crawler enable x',
  'lru_crawler enable noreply',
  'lru_crawler crawl',
  'lru_crawler crawl foo',
  'lru_crawler crawl 0',
  'lru_crawler crawl 64',
  'lru_crawler crawl 200',
  'lru_crawler crawl -1',
  'lru_crawler crawl hash',
  'lru_crawler crawl ,',
  'lru_crawler crawl 1,x',
  'lru_crawler crawl all noreply',
  'lru_crawler metadump',
  'lru_crawler metadump x',
  'lru_crawler metadump 64',
  'lru_crawler metadump 0',
  'lru_crawler metadump all noreply',
  'lru_crawler sleep',
  'lru_crawler sleep x',
  'lru_crawler sleep 1000001',
  'lru_crawler sleep 1000000',
  'lru_crawler sleep -1',
  'lru_crawler sleep 100 noreply',
  'lru_crawler sleep 100',
  'lru_crawler tocrawl',
  'lru_crawler tocrawl x',
  'lru_crawler tocrawl 5',
  'lru_crawler tocrawl 4294967295',
  'lru_crawler tocrawl 0',
)

const disabled: Case[] = [
  [
    'nothing is crawled or dumped while it is off',
    [
      'lru_crawler disable\r\n',
      'lru_crawler disable\r\n',
      // memcached does not wait for its thread: give the thread time to end.
      ...new Array<string>(50).fill('version\r\n'),
      'lru_crawler crawl all\r\nlru_crawler crawl x\r\n',
      'lru_crawler metadump all\r\n',
      'lru_crawler metadump x\r\n',
      'lru_crawler sleep 100\r\nlru_crawler tocrawl 0\r\n',
      'lru_crawler enable\r\n',
      'lru_crawler enable\r\n',
    ],
  ],
]

const slabs = linesOf(
  'slabs',
  'slabs foo',
  'slabs reassign',
  'slabs reassign 1',
  'slabs reassign 1 1',
  'slabs reassign -1 -1',
  'slabs reassign x 1',
  'slabs reassign 1 x',
  'slabs reassign 1 99',
  'slabs reassign 99 1',
  'slabs reassign 5 -1',
  'slabs reassign -2 1',
  'slabs reassign 4 2',
  'slabs reassign 2 1 noreply',
  'slabs automove',
  'slabs automove 0',
  'slabs automove 1',
  'slabs automove 2',
  'slabs automove 3',
  'slabs automove x',
  'slabs automove -1',
  'slabs automove noreply',
  'slabs automove x noreply',
  'slabs automove ratio',
  'slabs automove ratio 0.9',
  'slabs automove ratio .5',
  'slabs automove ratio 1e-1',
  'slabs automove ratio x',
  'slabs automove ratio 0.9 noreply',
  'slabs automove window 3',
  'slabs automove 1 2 3 4',
  'slabs automove 1 noreply',
)

const lru = linesOf(
  'lru',
  'lru foo',
  'lru noreply',
  'lru tune',
  'lru tune 10 20 0.2',
  'lru tune 10 20 0.2 2.0',
  'lru tune 10 20 0.2 2.0 x',
  'lru tune 50 50 0.2 2.0',
  'lru tune 40 40 0.2 2.0',
  'lru tune 10 20 0 2.0',
  'lru tune 10 20 1 0',
  'lru tune 10 20 -1 2.0',
  'lru tune x 20 1 2.0',
  'lru tune 10 x 1 2.0',
  'lru tune 10 20 x 2.0',
  'lru tune 10 20 1 x',
  'lru tune 50 50 0.2 2.0 noreply',
  'lru tune 20 40 0.2 2.0',
  'lru mode',
  'lru mode x',
  'lru mode flat',
  'lru mode flat noreply',
  'lru mode flat x y',
  'lru mode segmented',
  'lru mode lru',
  'lru temp_ttl',
  'lru temp_ttl x',
  'lru temp_ttl 60',
  'lru temp_ttl 60 noreply',
  'lru temp_ttl -1',
)

const limits = linesOf(
  'cache_memlimit',
  'cache_memlimit x',
  'cache_memlimit -1',
  'cache_memlimit 0',
  'cache_memlimit 7',
  'cache_memlimit 7 noreply',
  'cache_memlimit 1000000001',
  'cache_memlimit 64 x',
  'cache_memlimit 64 noreply',
  'cache_memlimit 64 a b',
  'cache_memlimit 32',
  'cache_memlimit 64',
)

const watching = linesOf(
  'watch foo',
  'watch fetchers foo',
  'watch noreply',
  'watch fetchers noreply',
  'watch FETCHERS',
)

const detail: Case[] = [
  ...linesOf(
    'stats detail',
    'stats detail x',
    'stats detail on x',
    'stats detail off',
    'stats detail off noreply',
    'stats cachedump',
    'stats cachedump 1',
    'stats cachedump x 1',
    'stats cachedump 1 x',
    'stats cachedump 64 0',
    'stats cachedump 63 0',
    'stats cachedump 0 0',
    'stats cachedump -1 0',
    'stats cachedump 1 -1',
  ),
  [
    'prefixes are counted while that is on',
    [
      'stats detail on\r\n',
      'set foo:1 0 0 1\r\nx\r\n',
      'get foo:1\r\nget foo:2 foo:1 baz\r\n',
      'delete foo:1\r\ndelete foo:none\r\nincr foo:1 1\r\ntouch foo:1 1\r\ngat 0 foo:1\r\n',
      'stats detail dump\r\n',
      'stats detail off\r\n',
      'get foo:1\r\nset foo:1 0 0 1\r\nx\r\n',
      'stats detail dump\r\n',
      'stats detail dump x\r\n',
      'stats reset\r\nstats detail dump\r\n',
    ],
  ],
  [
    'a store that is refused counts',
    [
      'stats detail on\r\n',
      `add big:1 0 0 2000000\r\n${'x'.repeat(2_000_000)}\r\n`,
      `set big:1 0 0 100000\r\n${'x'.repeat(100_000)}\r\n`,
      'add big:1 0 0 1\r\nx\r\n',
      'stats detail dump\r\n',
      'stats detail off\r\nstats reset\r\n',
    ],
  ],
  [
    'what is before the first delimiter is the prefix',
    [
      'stats detail on\r\n',
      'get a:b:c\r\n',
      'stats detail dump\r\n',
      'stats reset\r\n',
      'get :x\r\n',
      'stats detail dump\r\n',
      'stats reset\r\n',
      `get ${'p'.repeat(249)}:\r\n`,
      'stats detail dump\r\n',
      'stats detail off\r\nstats reset\r\n',
    ],
  ],
]

/** For a daemon with -A. */
export const shutdowns: Group[] = [
  {
    name: 'shutdown',
    cases: linesOf('shutdown x', 'shutdown graceful x', 'shutdown noreply', 'shutdown GRACEFUL'),
  },
]

/** For a daemon with -X and -W, and without -A. */
export const refusals: Group[] = [
  {
    name: 'what is not allowed',
    cases: linesOf(
      'lru_crawler metadump all',
      'lru_crawler metadump x',
      'stats cachedump',
      'stats cachedump 1 1',
      'watch',
      'watch foo',
      'watch noreply',
      'shutdown',
      'shutdown x',
    ),
  },
]

export const operators: Group[] = [
  { name: 'lru_crawler', cases: crawler },
  { name: 'lru_crawler disable', cases: disabled },
  { name: 'slabs', cases: slabs },
  { name: 'lru', cases: lru },
  { name: 'cache_memlimit', cases: limits },
  { name: 'watch', cases: watching },
  { name: 'stats detail and cachedump', cases: detail },
]
