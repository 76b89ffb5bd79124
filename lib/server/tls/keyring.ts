// The certificates that all threads use for new connections, in shared memory. The thread that
// reads the files again puts them here, and every thread checks before a handshake whether they
// changed.
//
//   SEQUENCE     even: the content is complete; odd: a thread is writing. Each change adds two
//   REFRESHED_S  the clock when the files were last read
//   BYTES        length of the certificates, which follow as JSON

import type { Options } from '../../options/options.ts'
import { KEYRING_BYTES_MAX } from '../limits.ts'
import { faultOf } from '../system/reason.ts'
import {
  type Certificates,
  loadTexts,
  newTicketKey,
  readCertificates,
  type TlsSettings,
  tlsSettingsOf,
} from './certificates.ts'

/**
 * How often a thread checks whether another one has finished writing, before it gives up waiting.
 */
const KEYRING_TRIES_MAX = 10_000_000

/** How often the files are read again because others had read them meanwhile. */
const REFRESH_TRIES_MAX = 10

const SEQUENCE = 0
const REFRESHED_S = 1
const BYTES = 2
const HEADER_WORDS = 4

/** What threads need for TLS. Fit for postMessage. */
export interface TlsHandle {
  settings: TlsSettings
  keyring: SharedArrayBuffer
}

/** Reads the files. Throws an Error of one line, with an exitCode. */
export function openKeyring(options: Options, nowS: number): TlsHandle {
  const settings = tlsSettingsOf(options)
  const keyring = Keyring.create()
  keyring.publish(readCertificates(settings), nowS)
  return { settings, keyring: keyring.buffer }
}

/**
 * Reads the files again in the background, for new connections. `done` gets why that failed, or
 * null. Who reads them at the same time may be older or newer: then they are read once more.
 */
export function refreshKeyring(
  tls: TlsHandle,
  nowS: number,
  done: (fault: string | null) => void,
): void {
  const { settings } = tls
  const keyring = new Keyring(tls.keyring)
  const attempt = (triesLeft: number): void => {
    const { version } = keyring
    loadTexts(settings, read => {
      if (keyring.version !== version && triesLeft > 0) return attempt(triesLeft - 1)
      done(faultOf(() => keyring.publish(readCertificates(settings, read), nowS)))
    })
  }
  attempt(REFRESH_TRIES_MAX)
}

/** Replaces the key that seals sessions: earlier sessions can no longer be resumed. */
export function renewTicketKey({ keyring }: TlsHandle): void {
  const ring = new Keyring(keyring)
  const found = ring.read()
  if (found === null) return
  ring.publish({ ...found.certificates, ticketKey: newTicketKey() }, ring.refreshedAtS)
}

export class Keyring {
  readonly buffer: SharedArrayBuffer
  private readonly words: Int32Array
  private readonly text: Buffer

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer
    this.words = new Int32Array(buffer, 0, HEADER_WORDS)
    this.text = Buffer.from(buffer, HEADER_WORDS * 4)
  }

  static create(): Keyring {
    return new Keyring(new SharedArrayBuffer(HEADER_WORDS * 4 + KEYRING_BYTES_MAX))
  }

  /** Changes with every change of the content. */
  get version(): number {
    return Atomics.load(this.words, SEQUENCE)
  }

  get refreshedAtS(): number {
    return Atomics.load(this.words, REFRESHED_S)
  }

  /** New connections use these from now on. */
  publish(certificates: Certificates, nowS: number): void {
    const json = Buffer.from(JSON.stringify(certificates))
    if (json.length > this.text.length) throw new Error('the certificates are too long')
    const before = this.begin()
    json.copy(this.text)
    Atomics.store(this.words, BYTES, json.length)
    Atomics.store(this.words, REFRESHED_S, nowS)
    Atomics.store(this.words, SEQUENCE, before + 2)
  }

  /** The content. Waits for a thread that is writing; null if that never ends. */
  read(): { certificates: Certificates; version: number } | null {
    for (let tries = 0; tries < KEYRING_TRIES_MAX; tries++) {
      const { version } = this
      if (version % 2 !== 0) continue
      const json = this.text.toString('utf8', 0, Atomics.load(this.words, BYTES))
      if (this.version === version) return { certificates: JSON.parse(json), version }
    }
    return null
  }

  /** Keeps other threads from writing. Does not wait forever for one that died while it wrote. */
  private begin(): number {
    for (let tries = 0; ; tries++) {
      const now = this.version
      const even = now - (now % 2)
      if (now !== even && tries < KEYRING_TRIES_MAX) continue
      if (Atomics.compareExchange(this.words, SEQUENCE, now, even + 1) === now) return even
    }
  }
}
