// `memslab acl hash` and `memslab acl check`: makes and checks what a file of --acl has.

import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { readAcl } from '../access/acl.ts'
import { digestOf } from '../access/digest.ts'
import { SECRET_BYTES_MAX } from '../access/limits.ts'
import { failed, Misused, readArguments, runCommand } from './command-line.ts'

const USAGE = `usage: memslab acl hash < password
       memslab acl check FILE
hash: prints the digest of a password, which is the first line of the input, for a line
      user NAME DIGEST +read +write
check: says whether FILE can be used for --acl`

/** Returns the exit code. */
export function runAcl(words: readonly string[]): Promise<number> {
  return runCommand(USAGE, words, async () => {
    const { words: given } = await readArguments(words, {})
    const [what, path, ...others] = given
    if (others.length > 0) throw new Misused('')
    try {
      if (what === 'hash' && path === undefined) return await hash()
      if (what === 'check' && path !== undefined) return check(path)
    } catch (error) {
      return failed('acl', error)
    }
    throw new Misused('')
  })
}

async function hash(): Promise<number> {
  const line = await firstLine()
  const password = Buffer.from(line)
  if (password.length === 0) throw new Error('the input has no password')
  if (password.length > SECRET_BYTES_MAX) throw new Error('the password is too long')
  process.stdout.write(`${digestOf(password)}\n`)
  return 0
}

/** In a terminal what is typed is not shown. */
async function firstLine(): Promise<string> {
  const { stdin } = process
  if (stdin.isTTY) process.stderr.write('password: ')
  // Without an output the terminal shows nothing.
  const lines = createInterface({ input: stdin, terminal: stdin.isTTY })
  for await (const line of lines) {
    if (stdin.isTTY) process.stderr.write('\n')
    lines.close()
    return line
  }
  return ''
}

function check(path: string): number {
  try {
    const { users, signers, addresses } = readAcl(readFileSync(path, 'utf8'))
    const counts = `${users.size} users, ${signers.size} tokens, ${addresses.length} addresses`
    process.stdout.write(`${path}: ${counts}\n`)
    return 0
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new Error(code === undefined ? `${path}:${message}` : message)
  }
}
