// Which options leave a daemon open to the network, and its warning.

import t from 'tap'
import { readCommandLine } from '../../lib/cli.ts'
import { openAddressOf } from '../../lib/options/checks.ts'
import { isRefusal } from '../../lib/options/options.ts'
import { ENTRY } from '../support/daemon.ts'
import { startServer } from '../support/process.ts'
import { comesTrue } from '../support/server-peer.ts'

t.test('an address is open where nothing says who may', async t => {
  const tls = '-Z -o ssl_chain_cert=a,ssl_verify_mode='
  for (const [args, address] of [
    ['', '0.0.0.0'],
    ['-U 11211 -p 0', '0.0.0.0'],
    ['-l 10.1.2.3', '10.1.2.3'],
    ['-l 127.0.0.1,::2', '[::2]'],
    [`${tls}1`, '0.0.0.0'],
    [`${tls}2 -l notls:127.0.0.1,btls:10.1.2.3`, '10.1.2.3'],
    ['-l 127.0.0.1,::1,localhost', undefined],
    ['-s /tmp/s', undefined],
    ['-p 0', undefined],
    ['--allow 10.0.0.0/8', undefined],
    ['-Y a', undefined],
    ['--acl a', undefined],
    [`${tls}2`, undefined],
    [`${tls}0 -l mtls:10.1.2.3`, undefined],
  ] as const) {
    t.equal(await openAddress(args), address, args)
  }
})

t.test('one line says what to do, once it listens', async t => {
  const argsFor = (port: number) => [ENTRY, '-t', '1', '-u', 'nobody', '-p', `${port}`]
  const open = await startServer(t, process.execPath, port => [...argsFor(port), '-l', '0.0.0.0'])
  const advice = 'listen on 127.0.0.1 (-l), or say who may (--allow, --acl, TLS with certificates)'
  const line = `warning: everybody who reaches 0.0.0.0 may read and change everything: ${advice}\n`
  t.ok(await comesTrue(() => open.output() === line), open.output())
})

async function openAddress(args: string): Promise<string | undefined> {
  const command = await readCommandLine(args.split(' ').filter(arg => arg !== ''))
  if (isRefusal(command) || command.action !== 'serve') throw new Error(`refused: ${args}`)
  return openAddressOf(command.options)
}
