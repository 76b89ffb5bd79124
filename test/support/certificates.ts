/**
 * Certificates for tests, made by the openssl program: an authority and certificates that it signs,
 * one of them expired. Tests that need them call skipWithout('openssl') first.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Owner } from './process.ts'
import { shortFolder } from './unix.ts'

/** A certificate and its key, paths of PEM files. */
export interface Pair {
  cert: string
  key: string
}

export interface Authority {
  ca: string
  /** Signs a certificate for this name, valid for `days`; -1: expired. */
  sign(name: string, days?: number): Pair
}

const NAMES = 'subjectAltName=DNS:localhost,IP:127.0.0.1'

export function createAuthority(owner: Owner, name: string): Authority {
  const folder = shortFolder(owner)
  const file = (base: string) => join(folder, base)
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const made = ['-keyout', file('ca.key'), '-out', file('ca.pem')]
  openssl(['req', '-x509', ...newKey, ...made, '-subj', `/CN=${name}`, '-days', '2'])
  writeFileSync(file('names'), NAMES)
  const sign = (subject: string, days = 2): Pair => {
    const [key, request, cert] = [`${subject}.key`, `${subject}.csr`, `${subject}.pem`].map(file)
    openssl(['req', '-new', ...newKey, '-keyout', key, '-out', request, '-subj', `/CN=${subject}`])
    const by = ['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial']
    const terms = ['-days', `${days}`, '-extfile', file('names')]
    openssl(['x509', '-req', '-in', request, ...by, ...terms, '-out', cert])
    // A daemon that has given up root must be able to read them.
    for (const name of readdirSync(folder)) chmodSync(file(name), 0o644)
    return { cert, key }
  }
  return { ca: file('ca.pem'), sign }
}

/** The key in DER, beside the one in PEM. */
export function keyInDer({ key }: Pair): string {
  const out = `${key}.der`
  openssl(['pkey', '-in', key, '-outform', 'DER', '-out', out])
  chmodSync(out, 0o644)
  return out
}

function openssl(args: string[]): void {
  const { status, stderr } = spawnSync('openssl', args, { encoding: 'utf8', timeout: 20_000 })
  if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}`)
}
