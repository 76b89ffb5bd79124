// A self-signed certificate for servers on loopback, made by the openssl program for one run and
// removed at its end. Both servers use the same, so that handshakes and ciphers are the same too.

import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

// Paths of PEM files.
export interface Certificate {
  cert: string
  key: string
}

export function makeCertificate(): Certificate {
  const folder = mkdtempSync(join(tmpdir(), 'memslab-bench-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1']
  const made = ['-keyout', key, '-out', cert, '-days', '2']
  execFileSync('openssl', ['req', '-x509', ...newKey, ...names, ...made], { stdio: 'ignore' })
  // A server started as root may have changed its user before it reads them.
  chmodSync(folder, 0o755)
  chmodSync(key, 0o644)
  return { cert, key }
}
