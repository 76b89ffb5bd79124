// The OpenSSL inside Node, called through node:ffi: the functions that a thread needs to speak TLS
// without Node's streams in between.
//
// Where node:ffi or one of the functions is missing, loadOpenSsl returns undefined, and Node speaks
// TLS. Pointers are bigints. OpenSSL trusts them, so a wrong one ends the process or damages
// memory: the callers in this folder keep alive what they pass, and free what they asked for.

import { Area } from '../../bytes/area.ts'
import { type Ffi, type FfiFunctions, functionsOf, loadFfi } from '../native/ffi.ts'

/** A pointer, 0n: none. */
export type Pointer = bigint

/** Each function has one signature. Numbers of 64 bits are slow, so frequent calls have few. */
const FUNCTIONS = {
  BIO_ctrl: { arguments: ['u64', 'i32', 'i64', 'u64'], return: 'i64' },
  BIO_free: { arguments: ['u64'], return: 'i32' },
  BIO_new: { arguments: ['u64'], return: 'u64' },
  BIO_new_mem_buf: { arguments: ['u64', 'i32'], return: 'u64' },
  BIO_read: { arguments: ['u64', 'u64', 'i32'], return: 'i32' },
  BIO_s_mem: { arguments: [], return: 'u64' },
  BIO_up_ref: { arguments: ['u64'], return: 'i32' },
  BIO_write: { arguments: ['u64', 'u64', 'i32'], return: 'i32' },
  ERR_clear_error: { arguments: [], return: 'void' },
  ERR_get_error: { arguments: [], return: 'u64' },
  ERR_reason_error_string: { arguments: ['u64'], return: 'u64' },
  EVP_PKEY_free: { arguments: ['u64'], return: 'void' },
  PEM_read_bio_PrivateKey: { arguments: ['u64', 'u64', 'u64', 'u64'], return: 'u64' },
  PEM_read_bio_X509_AUX: { arguments: ['u64', 'u64', 'u64', 'u64'], return: 'u64' },
  SSL_CTX_add_client_CA: { arguments: ['u64', 'u64'], return: 'i32' },
  SSL_CTX_ctrl: { arguments: ['u64', 'i32', 'i64', 'u64'], return: 'i64' },
  SSL_CTX_free: { arguments: ['u64'], return: 'void' },
  SSL_CTX_get_cert_store: { arguments: ['u64'], return: 'u64' },
  SSL_CTX_new: { arguments: ['u64'], return: 'u64' },
  SSL_CTX_set_cipher_list: { arguments: ['u64', 'u64'], return: 'i32' },
  SSL_CTX_set_ciphersuites: { arguments: ['u64', 'u64'], return: 'i32' },
  SSL_CTX_set_num_tickets: { arguments: ['u64', 'u64'], return: 'i32' },
  SSL_CTX_set_options: { arguments: ['u64', 'u64'], return: 'u64' },
  SSL_CTX_set_session_id_context: { arguments: ['u64', 'u64', 'u32'], return: 'i32' },
  SSL_CTX_set_timeout: { arguments: ['u64', 'i64'], return: 'i64' },
  SSL_CTX_set_verify: { arguments: ['u64', 'i32', 'u64'], return: 'void' },
  SSL_CTX_use_PrivateKey: { arguments: ['u64', 'u64'], return: 'i32' },
  SSL_CTX_use_certificate: { arguments: ['u64', 'u64'], return: 'i32' },
  SSL_do_handshake: { arguments: ['u64'], return: 'i32' },
  SSL_free: { arguments: ['u64'], return: 'void' },
  SSL_get1_peer_certificate: { arguments: ['u64'], return: 'u64' },
  SSL_get_shutdown: { arguments: ['u64'], return: 'i32' },
  SSL_get_verify_result: { arguments: ['u64'], return: 'i64' },
  SSL_new: { arguments: ['u64'], return: 'u64' },
  SSL_read: { arguments: ['u64', 'u64', 'i32'], return: 'i32' },
  SSL_session_reused: { arguments: ['u64'], return: 'i32' },
  SSL_set_accept_state: { arguments: ['u64'], return: 'void' },
  SSL_set_bio: { arguments: ['u64', 'u64', 'u64'], return: 'void' },
  SSL_shutdown: { arguments: ['u64'], return: 'i32' },
  SSL_want: { arguments: ['u64'], return: 'i32' },
  SSL_write: { arguments: ['u64', 'u64', 'i32'], return: 'i32' },
  TLS_server_method: { arguments: [], return: 'u64' },
  i2d_X509: { arguments: ['u64', 'u64'], return: 'i32' },
  X509_STORE_add_cert: { arguments: ['u64', 'u64'], return: 'i32' },
  X509_free: { arguments: ['u64'], return: 'void' },
  X509_verify_cert_error_string: { arguments: ['i64'], return: 'u64' },
} as const

export class OpenSsl {
  readonly call: FfiFunctions<typeof FUNCTIONS>
  /** Must live as long as its functions. */
  readonly library: InstanceType<Ffi['DynamicLibrary']>
  private readonly ffi: Ffi
  private readonly addresses = new WeakMap<Area, Pointer>()
  /** What a call is reading: the garbage collector does not see pointers. */
  lent: Uint8Array | null = null

  /** Throws an Error if a function is missing. */
  constructor(ffi: Ffi) {
    this.ffi = ffi
    this.library = new ffi.DynamicLibrary(null)
    this.call = functionsOf(this.library, FUNCTIONS)
  }

  /** The address of an area, which must stay alive. It does not move. */
  addressOf(area: Area): Pointer {
    const known = this.addresses.get(area)
    if (known !== undefined) return known
    const found = this.ffi.getRawPointer(area.bytes)
    this.addresses.set(area, found)
    return found
  }

  /** A view of OpenSSL's memory. OpenSSL frees it. */
  memory(at: Pointer, bytes: number): ArrayBuffer {
    return this.ffi.toArrayBuffer(at, bytes, false)
  }

  /** Calls `work` with the address and the length of these bytes. */
  withBytes<T>(bytes: Uint8Array, work: (at: Pointer, length: number) => T): T {
    this.lent = bytes
    const result = work(this.ffi.getRawPointer(bytes), bytes.length)
    this.lent = null
    return result
  }

  /** Calls `work` with the address of a text that ends in a zero. */
  withText<T>(text: string, work: (at: Pointer) => T): T {
    return this.withBytes(Buffer.from(`${text}\0`), work)
  }

  /**
   * Why the last call failed, in OpenSSL's words; null: it did not. Empties the queue of errors.
   */
  takeReason(): string | null {
    const { call } = this
    const code = call.ERR_get_error()
    if (code === 0n) return null
    call.ERR_clear_error()
    return this.text(call.ERR_reason_error_string(code)) ?? `error ${code}`
  }

  /** The certificate of a peer, as DER; null: it has none, or it was not verified. */
  peerCertificate(ssl: Pointer): Uint8Array | null {
    const { call } = this
    const certificate = call.SSL_get1_peer_certificate(ssl)
    if (certificate === 0n) return null
    const bytes = call.i2d_X509(certificate, 0n)
    const isVerified = call.SSL_get_verify_result(ssl) === 0n
    const der = isVerified && bytes > 0 ? this.writeDer(certificate, bytes) : null
    call.X509_free(certificate)
    return der
  }

  private writeDer(certificate: Pointer, bytes: number): Uint8Array {
    const der = Area.allocate(bytes)
    // OpenSSL writes to the address in here, and moves it.
    const place = Area.allocate(8)
    place.view.setBigUint64(0, this.addressOf(der), true)
    this.call.i2d_X509(certificate, this.addressOf(place))
    return der.bytes
  }

  text(pointer: Pointer): string | null {
    return pointer === 0n ? null : this.ffi.toString(pointer)
  }
}

/** Undefined: not Linux, not OpenSSL 3, or no node:ffi with these functions. */
export function loadOpenSsl(): OpenSsl | undefined {
  if (process.platform !== 'linux' || !process.versions.openssl?.startsWith('3.')) return undefined
  try {
    const ffi = loadFfi()
    return ffi === undefined ? undefined : new OpenSsl(ffi)
  } catch {
    return undefined
  }
}
