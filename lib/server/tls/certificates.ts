// The files that TLS needs, read and tried out: what would fail in a handshake fails here, in
// memcached's words and one line. The main thread reads them at the start. On request the thread
// that is asked reads them again, in the background, and keyring.ts hands them to the others.

import { createPrivateKey, type KeyObject, randomBytes, X509Certificate } from 'node:crypto'
import { readFile, readFileSync, stat, statSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { EXIT_USAGE, type Options } from '../../options/options.ts'
import { TLS_FILE_BYTES_MAX, TLS_TICKET_KEY_BYTES } from '../limits.ts'
import { reasonOf } from '../system/reason.ts'

/** The options of TLS. Fit for postMessage. */
export type TlsSettings = Pick<
  Options,
  | 'sslChainCert'
  | 'sslKey'
  | 'sslKeyFormat'
  | 'sslCaCert'
  | 'sslCiphers'
  | 'sslMinVersion'
  | 'sslSessionCache'
  | 'sslEngine'
>

/** The contents of the files. */
export interface Certificates {
  cert: string
  key: string
  /** Authorities, PEM. Empty: every certificate of a peer is refused. */
  ca: string[]
  /**
   * Seals sessions, base64. All threads have the same, so that any of them can resume a session.
   */
  ticketKey: string
}

const VERSIONS = {
  'tlsv1.0': 'TLSv1',
  'tlsv1.1': 'TLSv1.1',
  'tlsv1.2': 'TLSv1.2',
  'tlsv1.3': 'TLSv1.3',
} as const
/** As in memcached, -o ssl_ciphers does not touch the ciphers of TLS 1.3. */
const CIPHERS_OF_TLS_1_3 =
  'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256'
const DER_TYPES = ['pkcs8', 'pkcs1', 'sec1'] as const
const TOO_LARGE = new Error('the file is too large')
const ONE_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

export function tlsSettingsOf(options: Options): TlsSettings {
  const { sslChainCert, sslKey, sslKeyFormat, sslCaCert } = options
  const { sslCiphers, sslMinVersion, sslSessionCache, sslEngine } = options
  return {
    sslChainCert,
    sslKey,
    sslKeyFormat,
    sslCaCert,
    sslCiphers,
    sslMinVersion,
    sslSessionCache,
    sslEngine,
  }
}

/** The text of a file, a character for each byte. Throws an Error if it cannot be read. */
export type ReadText = (path: string) => string

/** Reads all files in the background. `done` gets a function that has their texts. */
export function loadTexts(settings: TlsSettings, done: (read: ReadText) => void): void {
  const { sslChainCert = '', sslKey = sslChainCert, sslCaCert = sslChainCert } = settings
  const texts = new Map<string, string | Error>()
  const paths = new Set([sslChainCert, sslKey, sslCaCert])
  const read = (path: string): string => {
    const text = texts.get(path)
    if (typeof text === 'string') return text
    throw text ?? new Error('the file was not read')
  }
  for (const path of paths) {
    loadText(path, text => {
      texts.set(path, text)
      if (texts.size === paths.size) done(read)
    })
  }
}

function loadText(path: string, done: (text: string | Error) => void): void {
  stat(path, (error, found) => {
    if (error !== null) return done(error)
    if (found.size > TLS_FILE_BYTES_MAX) return done(TOO_LARGE)
    readFile(path, 'latin1', (fault, text) => done(fault ?? text))
  })
}

/**
 * Tries the files out. Throws an Error of one line, with an exitCode. `read` gives their texts; by
 * default it waits for them.
 */
export function readCertificates(settings: TlsSettings, read: ReadText = readText): Certificates {
  const { sslChainCert = '', sslKey = sslChainCert, sslCaCert } = settings
  const cert = attempt(`Error loading the certificate chain: ${sslChainCert}`, () => {
    const text = read(sslChainCert)
    createSecureContext({ cert: text })
    return text
  })
  const key = attempt(`Error loading the key: ${sslKey}`, () => {
    const text = keyOf(read(sslKey), settings.sslKeyFormat)
    createSecureContext({ cert, key: text })
    return text
  })
  const ca =
    sslCaCert === undefined
      ? []
      : attempt(`Error loading the CA certificate: ${sslCaCert}`, () => eachOf(read(sslCaCert)))
  attempt(`Error setting the provided cipher(s): ${settings.sslCiphers}`, () =>
    createSecureContext({ ciphers: ciphersOf(settings) }),
  )
  const found = { cert, key, ca, ticketKey: newTicketKey() }
  // Ciphers may require more than the certificate has, as @SECLEVEL=4 does.
  attempt(`Error loading the certificate chain: ${sslChainCert}`, () =>
    createSecureContext(contextOptions(settings, found)),
  )
  return found
}

export function newTicketKey(): string {
  return randomBytes(TLS_TICKET_KEY_BYTES).toString('base64')
}

/** The options of a secure context, as Node takes them. */
export function contextOptions(settings: TlsSettings, { cert, key, ca }: Certificates) {
  const minVersion = VERSIONS[settings.sslMinVersion]
  return { cert, key, ca, minVersion, ciphers: ciphersOf(settings) }
}

function ciphersOf({ sslCiphers }: TlsSettings): string | undefined {
  return sslCiphers === undefined ? undefined : `${CIPHERS_OF_TLS_1_3}:${sslCiphers}`
}

function readText(path: string): string {
  if (statSync(path).size > TLS_FILE_BYTES_MAX) throw TOO_LARGE
  return readFileSync(path, 'latin1')
}

/** A private key in PEM. */
function keyOf(text: string, format: 'PEM' | 'DER'): string {
  if (format === 'PEM') return text
  const key = Buffer.from(text, 'latin1')
  const found = DER_TYPES.map(type => parseDer(key, type)).find(parsed => parsed !== undefined)
  if (found === undefined) throw new Error('no private key in DER')
  return found.export({ type: 'pkcs8', format: 'pem' }).toString()
}

function parseDer(key: Buffer, type: (typeof DER_TYPES)[number]): KeyObject | undefined {
  try {
    return createPrivateKey({ key, format: 'der', type })
  } catch {
    return undefined
  }
}

/** Each certificate of a bundle. Parsed here, because Node skips bad ones silently. */
function eachOf(bundle: string): string[] {
  const found = bundle.match(ONE_CERTIFICATE) ?? []
  if (found.length === 0) throw new Error('no certificate in PEM')
  for (const pem of found) new X509Certificate(pem)
  return found
}

function attempt<T>(what: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    const line = `${what} : ${reasonOf(error)}`
    throw Object.assign(new Error(line), { exitCode: EXIT_USAGE })
  }
}
