// The file of --acl: users, those who sign tokens, and limits of addresses. One entry a line, words
// with blanks between, `#` before comments.
//
//   user default  +read ~public:                            who has not logged in
//   user app      $scrypt$...  +read +write ~app:           by a password
//   user ops      cert=ops.example.com +read +write +admin  by the certificate of a client
//   token issuer  ed25519:MCowBQ...  +read +write ~app:     who signs tokens, and their most rights
//   address 10.0.0.0/8  connections=100                     limits of each address; `*`: of any
//
// A user or a signer may have limits too: connections=, requests= and bytes= (a second; k, m, g).
// What is not said is not allowed, and not limited.

import { DIGEST_MARK, type Digest, readDigest } from './digest.ts'
import {
  ACL_ADDRESSES_MAX,
  ACL_SIGNERS_MAX,
  ACL_USERS_MAX,
  ACL_WORDS_MAX,
  BYTES_LIMIT_MAX,
  CONNECTIONS_LIMIT_MAX,
  NAME_BYTES_MAX,
  PASSWORDS_MAX,
  REQUESTS_LIMIT_MAX,
} from './limits.ts'
import { isRight, NO_RIGHTS, type Rights, readRights } from './rights.ts'
import { readSigningKey, type SigningKey } from './signed-token.ts'

/** Who has not logged in. */
export const DEFAULT_USER = 'default'

/** At most this much at a time or a second; 0: not limited. */
export interface Limits {
  connections: number
  requests: number
  bytes: number
}

export interface Password {
  digest: Digest
  /** As in the file: whoever logged in by it stays while it is there. */
  text: string
}

export interface User {
  name: string
  passwords: Password[]
  /** Names of certificates: a common name or an alternative name. */
  certificates: string[]
  rights: Rights
  limits: Limits
}

export interface Signer {
  name: string
  key: SigningKey
  /** As in the file. */
  keyText: string
  /** The most that its tokens may do. */
  rights: Rights
  limits: Limits
}

export interface AddressLimits {
  /** An address, a network, or `*`. */
  network: string
  limits: Limits
  /** In the file, from 1. */
  line: number
}

export interface Acl {
  users: Map<string, User>
  signers: Map<string, Signer>
  /** In their order: the first that fits an address counts. */
  addresses: AddressLimits[]
  /** Users by the names of their certificates. */
  byCertificate: Map<string, User>
}

export const NO_LIMITS: Limits = { connections: 0, requests: 0, bytes: 0 }

const LIMIT = /^(connections|requests|bytes)=(\d{1,12})([kmg]?)$/
const UNITS: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 }
const LIMITS_MAX: Limits = {
  connections: CONNECTIONS_LIMIT_MAX,
  requests: REQUESTS_LIMIT_MAX,
  bytes: BYTES_LIMIT_MAX,
}
const CERTIFICATE = 'cert='

/** The words of one line after its kind and its name, by what they are. */
interface Words {
  rights: string[]
  limits: string[]
  others: string[]
}

/** Reads the text of a file. Throws an Error of one line, which begins with the line's number. */
export function readAcl(text: string): Acl {
  const acl: Acl = {
    users: new Map(),
    signers: new Map(),
    addresses: [],
    byCertificate: new Map(),
  }
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const words = wordsOf(line)
    if (words.length === 0) continue
    try {
      readLine(acl, words, index + 1)
    } catch (error) {
      throw new Error(`${index + 1}: ${error instanceof Error ? error.message : error}`)
    }
  }
  if (!acl.users.has(DEFAULT_USER)) {
    acl.users.set(DEFAULT_USER, {
      name: DEFAULT_USER,
      passwords: [],
      certificates: [],
      rights: NO_RIGHTS,
      limits: NO_LIMITS,
    })
  }
  return acl
}

/** A comment begins a line or follows a blank. */
function wordsOf(line: string): string[] {
  const words = line.replace(/(?:^|\s)#.*$/, '').split(/\s+/)
  return words.filter(word => word !== '')
}

function readLine(acl: Acl, words: readonly string[], line: number): void {
  const [kind, name, ...rest] = words
  if (words.length > ACL_WORDS_MAX) throw new Error(`more than ${ACL_WORDS_MAX} words`)
  if (name === undefined) throw new Error(`"${kind}" has no name`)
  const limits = rest.filter(word => LIMIT.test(word))
  const rights = rest.filter(isRight)
  const others = rest.filter(word => !LIMIT.test(word) && !isRight(word))
  switch (kind) {
    case 'user':
      return addUser(acl, name, { rights, limits, others })
    case 'token':
      return addSigner(acl, name, { rights, limits, others })
    case 'address':
      return addAddress(acl, name, { rights, limits, others }, line)
    default:
      throw new Error(`"${kind}" is none of user, token and address`)
  }
}

function addUser(acl: Acl, name: string, { rights, limits, others }: Words): void {
  checkName(name)
  if (acl.users.has(name)) throw new Error(`a second user "${name}"`)
  if (acl.users.size === ACL_USERS_MAX) throw new Error(`more than ${ACL_USERS_MAX} users`)
  const user: User = {
    name,
    passwords: [],
    certificates: [],
    rights: readRights(rights),
    limits: readLimits(limits),
  }
  for (const word of others) {
    if (word.startsWith(CERTIFICATE)) user.certificates.push(word.slice(CERTIFICATE.length))
    else if (word.startsWith(DIGEST_MARK)) {
      user.passwords.push({ digest: readDigest(word), text: word })
    } else
      throw new Error(
        `"${word}" is no digest of a password (memslab acl hash), no right and no limit`,
      )
  }
  if (user.passwords.length > PASSWORDS_MAX) throw new Error(`more than ${PASSWORDS_MAX} passwords`)
  if (name === DEFAULT_USER && others.length > 0) {
    throw new Error('the user default is who has not logged in: it has no password')
  }
  if (name === DEFAULT_USER && user.limits.connections > 0) {
    throw new Error('the user default takes no connections=: a line "address *" does')
  }
  for (const certificate of user.certificates) {
    if (acl.byCertificate.has(certificate))
      throw new Error(`a second user with ${CERTIFICATE}${certificate}`)
    acl.byCertificate.set(certificate, user)
  }
  acl.users.set(name, user)
}

function addSigner(acl: Acl, name: string, { rights, limits, others }: Words): void {
  checkName(name)
  if (acl.signers.has(name)) throw new Error(`a second token "${name}"`)
  if (acl.signers.size === ACL_SIGNERS_MAX) throw new Error(`more than ${ACL_SIGNERS_MAX} tokens`)
  const [keyText, ...more] = others
  if (keyText === undefined) throw new Error(`token "${name}" has no key`)
  if (more.length > 0) throw new Error(`"${more[0]}" is no right and no limit`)
  acl.signers.set(name, {
    name,
    key: readSigningKey(keyText),
    keyText,
    rights: readRights(rights),
    limits: readLimits(limits),
  })
}

function addAddress(
  acl: Acl,
  network: string,
  { rights, limits, others }: Words,
  line: number,
): void {
  const [other] = [...rights, ...others]
  if (other !== undefined) throw new Error(`"${other}" is no limit`)
  if (acl.addresses.length === ACL_ADDRESSES_MAX) {
    throw new Error(`more than ${ACL_ADDRESSES_MAX} lines of addresses`)
  }
  acl.addresses.push({ network, limits: readLimits(limits), line })
}

function checkName(name: string): void {
  if (Buffer.byteLength(name) > NAME_BYTES_MAX) throw new Error('a name is too long')
}

function readLimits(words: readonly string[]): Limits {
  const limits = { ...NO_LIMITS }
  for (const word of words) {
    const [, name, digits, unit = ''] = LIMIT.exec(word) ?? []
    const key = name as keyof Limits
    const value = Number(digits) * (UNITS[unit] ?? 1)
    if (value < 1 || value > LIMITS_MAX[key]) {
      throw new Error(`${key}= must be from 1 to ${LIMITS_MAX[key]}`)
    }
    limits[key] = value
  }
  return limits
}
