// What all TLS connections with the same check of peers share, as an SSL_CTX: certificate, key,
// authorities, ciphers, versions, and the key that seals sessions.

import { constants, hkdfSync } from 'node:crypto'
import { DEFAULT_CIPHERS } from 'node:tls'
import type { PeerCheck } from '../../options/options.ts'
import { TLS_SESSION_S_MAX } from '../limits.ts'
import { type Certificates, contextOptions, type TlsSettings } from './certificates.ts'
import type { OpenSsl, Pointer } from './openssl.ts'

// Commands of SSL_CTX_ctrl, in ssl.h.
const EXTRA_CHAIN_CERT = 14
const SET_MODE = 33
const SET_SESSION_CACHE_MODE = 44
const SET_TICKET_KEYS = 59
const SET_MIN_VERSION = 123

const MODE_RELEASE_BUFFERS = 0x10n
const SESSION_CACHE_OFF = 0n
/** The keys that seal a session: name, digest key and cipher key. */
const TICKET_KEYS_BYTES = 80
const VERSIONS = { TLSv1: 0x301, 'TLSv1.1': 0x302, 'TLSv1.2': 0x303, 'TLSv1.3': 0x304 } as const
// SSL_VERIFY_PEER is 1, SSL_VERIFY_FAIL_IF_NO_PEER_CERT is 2.
const VERIFY = { none: 0, request: 1, require: 3 } as const

export class TlsContext {
  private readonly openSsl: OpenSsl
  private readonly pointer: Pointer

  /** Throws an Error in OpenSSL's words. */
  constructor(
    openSsl: OpenSsl,
    settings: TlsSettings,
    certificates: Certificates,
    check: PeerCheck,
  ) {
    this.openSsl = openSsl
    this.pointer = openSsl.call.SSL_CTX_new(openSsl.call.TLS_server_method())
    this.setTerms(settings, certificates)
    this.setSessions(settings, certificates, check)
    this.setCertificate(certificates)
    this.setAuthorities(certificates, check)
  }

  /** A new SSL; the caller frees it. */
  open(): Pointer {
    return this.openSsl.call.SSL_new(this.pointer)
  }

  /** Open connections keep using it: OpenSSL counts references. */
  free(): void {
    this.openSsl.call.SSL_CTX_free(this.pointer)
  }

  private setTerms(settings: TlsSettings, certificates: Certificates): void {
    const { call } = this.openSsl
    const { ciphers = DEFAULT_CIPHERS, minVersion } = contextOptions(settings, certificates)
    const names = ciphers.split(':')
    const isOfTls13 = (name: string) => name.startsWith('TLS_')
    const olderNames = names.filter(name => !isOfTls13(name))
    this.setText(call.SSL_CTX_set_cipher_list, olderNames)
    this.setText(call.SSL_CTX_set_ciphersuites, names.filter(isOfTls13))
    // An empty list of older ciphers would mean all of them to OpenSSL.
    const lowest = olderNames.length === 0 ? 'TLSv1.3' : minVersion
    this.control(SET_MIN_VERSION, BigInt(VERSIONS[lowest]))
    this.control(SET_MODE, MODE_RELEASE_BUFFERS)
    const { SSL_OP_NO_RENEGOTIATION, SSL_OP_CIPHER_SERVER_PREFERENCE } = constants
    const options = SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE
    call.SSL_CTX_set_options(this.pointer, BigInt(options))
  }

  /** All threads use the same key, so that any of them can resume a session. */
  private setSessions(
    { sslSessionCache }: TlsSettings,
    { ticketKey }: Certificates,
    check: PeerCheck,
  ): void {
    const { openSsl, pointer } = this
    const { call } = openSsl
    this.control(SET_SESSION_CACHE_MODE, SESSION_CACHE_OFF)
    if (!sslSessionCache) {
      call.SSL_CTX_set_options(pointer, BigInt(constants.SSL_OP_NO_TICKET))
      call.SSL_CTX_set_num_tickets(pointer, 0n)
      return
    }
    call.SSL_CTX_set_timeout(pointer, BigInt(TLS_SESSION_S_MAX))
    // A session is resumed only by a context that checks peers in the same way.
    openSsl.withBytes(Buffer.from(`memslab-${check}`), (at, length) =>
      this.need(call.SSL_CTX_set_session_id_context(pointer, at, length)),
    )
    const key = Buffer.from(ticketKey, 'base64')
    const keys = hkdfSync('sha256', key, '', 'memslab session tickets', TICKET_KEYS_BYTES)
    openSsl.withBytes(new Uint8Array(keys), (at, length) =>
      this.need(Number(call.SSL_CTX_ctrl(pointer, SET_TICKET_KEYS, BigInt(length), at))),
    )
  }

  private setCertificate({ cert, key }: Certificates): void {
    const { openSsl, pointer } = this
    const { call } = openSsl
    const [own, ...others] = this.readCertificates(cert)
    this.need(call.SSL_CTX_use_certificate(pointer, own))
    call.X509_free(own)
    for (const other of others) {
      this.need(Number(call.SSL_CTX_ctrl(pointer, EXTRA_CHAIN_CERT, 0n, other)))
    }
    const privateKey = this.withPem(key, bio => call.PEM_read_bio_PrivateKey(bio, 0n, 0n, 0n))
    this.need(call.SSL_CTX_use_PrivateKey(pointer, privateKey))
    call.EVP_PKEY_free(privateKey)
  }

  private setAuthorities({ ca }: Certificates, check: PeerCheck): void {
    const { call } = this.openSsl
    const store = call.SSL_CTX_get_cert_store(this.pointer)
    for (const certificate of ca.flatMap(pem => this.readCertificates(pem))) {
      this.need(call.X509_STORE_add_cert(store, certificate))
      call.SSL_CTX_add_client_CA(this.pointer, certificate)
      call.X509_free(certificate)
    }
    call.SSL_CTX_set_verify(this.pointer, VERIFY[check], 0n)
  }

  /** The caller frees each of them. */
  private readCertificates(pem: string): Pointer[] {
    const { call } = this.openSsl
    const found: Pointer[] = []
    this.withPem(pem, bio => {
      let next = call.PEM_read_bio_X509_AUX(bio, 0n, 0n, 0n)
      while (next !== 0n) {
        found.push(next)
        next = call.PEM_read_bio_X509_AUX(bio, 0n, 0n, 0n)
      }
    })
    if (found.length > 0) call.ERR_clear_error()
    this.need(found.length)
    return found
  }

  private withPem<T>(pem: string, read: (bio: Pointer) => T): T {
    const { openSsl } = this
    return openSsl.withBytes(Buffer.from(pem, 'latin1'), (at, length) => {
      const bio = openSsl.call.BIO_new_mem_buf(at, length)
      const result = read(bio)
      openSsl.call.BIO_free(bio)
      return result
    })
  }

  private setText(set: (context: Pointer, at: Pointer) => number, names: string[]): void {
    if (names.length === 0) return
    this.openSsl.withText(names.join(':'), at => this.need(set(this.pointer, at)))
  }

  private control(command: number, value: bigint): void {
    this.openSsl.call.SSL_CTX_ctrl(this.pointer, command, value, 0n)
  }

  private need(result: number): void {
    if (result <= 0) throw new Error(this.openSsl.takeReason() ?? 'TLS cannot be set up')
  }
}
