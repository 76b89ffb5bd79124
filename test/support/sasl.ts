/**
 * The server under test with SASL. memslab reads its users from a file. If MEMSLAB_COMMAND starts
 * the oracle instead, the same user is put into a libsasl2 database.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { awaitSasl, PASSWORD, USER } from './auth.ts'
import { startDaemon } from './daemon.ts'
import { findProgram } from './oracle.ts'
import type { Owner, ServerProcess } from './process.ts'
import { shortFolder } from './unix.ts'

/** Starts it with -S, for the user USER with PASSWORD. */
export async function startSaslDaemon(owner: Owner): Promise<ServerProcess> {
  const folder = shortFolder(owner)
  const users = join(folder, 'users')
  writeFileSync(users, `${USER}:${PASSWORD}\n`, { mode: 0o600 })
  process.env.MEMCACHED_SASL_PWDB = users
  if (process.env.MEMSLAB_COMMAND !== undefined) prepareLibsasl(folder)
  const server = await startDaemon(owner, ['-t', '2', '-S'])
  await awaitSasl(server)
  return server
}

function prepareLibsasl(folder: string) {
  const database = join(folder, 'sasldb2')
  const settings = [
    'mech_list: plain',
    'pwcheck_method: auxprop',
    'auxprop_plugin: sasldb',
    `sasldb_path: ${database}`,
  ]
  writeFileSync(join(folder, 'memcached.conf'), `${settings.join('\n')}\n`)
  const args = ['-p', '-c', '-f', database, '-a', 'memcached', '-u', hostname(), USER]
  execFileSync(findProgram('saslpasswd2') ?? 'saslpasswd2', args, { input: PASSWORD })
  chmodSync(database, 0o644) // memcached reads it as the user nobody
  process.env.SASL_CONF_PATH = folder
}
