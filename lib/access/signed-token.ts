// Tokens that expire: somebody who has a key of the file signs who may do what and until when, and
// the daemon checks that without knowing of the token before. They are JSON Web Tokens (RFC 7519)
// in their compact form:
//
//   base64url({"alg":"HS256","kid":"issuer"})               or "EdDSA"; kid: the line's name
//   .base64url({"sub":"app","exp":1767225600,"rights":"+read ~app:"})
//   .base64url(signature of what is before it)
//
//   sub     the user, who logs in by this name with the token as the password
//   exp     when it expires, Unix seconds; needed
//   nbf     not valid before, Unix seconds
//   rights  words of rights.ts, at most those of the line; without it those of the user in the file
//
// The algorithm is the line's, whatever the token says.

import { createHmac, createPublicKey, type KeyObject, timingSafeEqual, verify } from 'node:crypto'
import { HMAC_KEY_BYTES_MIN, NAME_BYTES_MAX } from './limits.ts'
import { isRight, type Rights, readRights } from './rights.ts'

/** The key of one line. */
export type SigningKey = { alg: 'HS256'; secret: Buffer } | { alg: 'EdDSA'; key: KeyObject }

/** What a token says, once its signature is right. */
export interface Token {
  user: string
  /** Unix seconds. */
  expiresAtS: number
  /** Null: those that the user has in the file. */
  rights: Rights | null
}

const HMAC = 'hmac-sha256:'
const ED25519 = 'ed25519:'
const FORM = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/

/** Reads `hmac-sha256:<base64>` or `ed25519:<base64 of a public key, DER>`. Throws an Error. */
export function readSigningKey(text: string): SigningKey {
  if (text.startsWith(HMAC)) {
    const secret = Buffer.from(text.slice(HMAC.length), 'base64')
    if (secret.length >= HMAC_KEY_BYTES_MIN) return { alg: 'HS256', secret }
    throw new Error(`a key of hmac-sha256 has at least ${HMAC_KEY_BYTES_MIN} bytes, in base64`)
  }
  if (!text.startsWith(ED25519)) throw new Error('a key begins with hmac-sha256: or ed25519:')
  try {
    const der = Buffer.from(text.slice(ED25519.length), 'base64')
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' })
    if (key.asymmetricKeyType === 'ed25519') return { alg: 'EdDSA', key }
  } catch {
    // The same line as for a key of another kind.
  }
  throw new Error('a key of ed25519 is a public key, DER in base64')
}

/** The name of the line that signed this; null: it has not the form of a token. */
export function signerOf(text: string): string | null {
  const [, head] = FORM.exec(text) ?? []
  if (head === undefined) return null
  const { kid } = objectIn(head)
  return typeof kid === 'string' ? kid : null
}

/** What the token says; null: it is not signed by this key, or not valid now. */
export function readToken(text: string, key: SigningKey, nowS: number): Token | null {
  const [, head = '', body = '', signature = ''] = FORM.exec(text) ?? []
  const { alg, crit } = objectIn(head)
  // `crit` names extensions that have to be understood: none is.
  if (alg !== key.alg || crit !== undefined) return null
  if (!isSigned(`${head}.${body}`, Buffer.from(signature, 'base64url'), key)) return null
  const { sub, exp, nbf, rights } = objectIn(body)
  const isNamed = typeof sub === 'string' && sub !== '' && sub.length <= NAME_BYTES_MAX
  if (!isNamed || typeof exp !== 'number' || !(exp > nowS)) return null
  if (nbf !== undefined && !(typeof nbf === 'number' && nbf <= nowS)) return null
  if (rights === undefined) return { user: sub, expiresAtS: exp, rights: null }
  const given = typeof rights === 'string' ? rightsIn(rights) : null
  return given && { user: sub, expiresAtS: exp, rights: given }
}

function isSigned(text: string, signature: Buffer, key: SigningKey): boolean {
  if (key.alg === 'EdDSA') return verify(null, Buffer.from(text), key.key, signature)
  const wanted = createHmac('sha256', key.secret).update(text).digest()
  return signature.length === wanted.length && timingSafeEqual(signature, wanted)
}

function rightsIn(text: string): Rights | null {
  const words = text.split(' ').filter(word => word !== '')
  try {
    return words.every(isRight) ? readRights(words) : null
  } catch {
    return null
  }
}

/** The object in a part; an empty one if there is none. */
function objectIn(part: string): Record<string, unknown> {
  try {
    const found: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    return typeof found === 'object' && found !== null ? (found as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
