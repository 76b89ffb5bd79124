// The names in a client's certificate by which --acl knows it: the common name, and the alternative
// names that are a host, an address of mail or a URI. Only of certificates that were verified.

import { X509Certificate } from 'node:crypto'

/** One alternative name and what ends it; Node quotes those that could be taken for several. */
const ALTERNATIVE = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)/y
const KINDS: ReadonlySet<string> = new Set(['DNS', 'URI', 'email'])

/** `certificate`: as DER, or Node's. */
export function peerNamesOf(certificate: Uint8Array | X509Certificate): string[] {
  const read =
    certificate instanceof X509Certificate ? certificate : new X509Certificate(certificate)
  const { subject } = read.toLegacyObject()
  const common: unknown = subject.CN
  const names = [common].flat().filter(name => typeof name === 'string')
  return [...names, ...alternativesIn(read.subjectAltName ?? '')]
}

/** None at all if one of them cannot be told from the next. */
function alternativesIn(text: string): string[] {
  const names: string[] = []
  for (ALTERNATIVE.lastIndex = 0; ALTERNATIVE.lastIndex < text.length; ) {
    const [, kind = '', name = ''] = ALTERNATIVE.exec(text) ?? []
    if (kind === '') return []
    if (KINDS.has(kind) && !name.startsWith('"')) names.push(name)
  }
  return names
}
