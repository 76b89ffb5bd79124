// Bounds of access control.

import { GIB, MIB } from '../bytes/units.ts'

/** The file of --acl: its length, its lines of one kind, and the words of one line. */
export const ACL_BYTES_MAX = MIB
export const ACL_USERS_MAX = 1024
export const ACL_SIGNERS_MAX = 64
export const ACL_ADDRESSES_MAX = 256
export const ACL_WORDS_MAX = 256

/** Longest name of a user or of a signer, bytes. */
export const NAME_BYTES_MAX = 128

/** Passwords of one user: an old and a new one, and some more. Each costs a check of 50 ms. */
export const PASSWORDS_MAX = 4

/** Key prefixes of one user, each compared with the key of a request, and their longest. */
export const PREFIXES_MAX = 64
export const PREFIX_BYTES_MAX = 250

/** Longest password, and longest token. */
export const SECRET_BYTES_MAX = 2048

/** Bounds of the parameters of a scrypt digest: its memory is 128 * r * 2^ln bytes. */
export const SCRYPT_LN_MAX = 20
export const SCRYPT_BYTES_MAX = 64 * MIB
export const SCRYPT_PARALLEL_MAX = 4

/** Shortest key of HMAC-SHA256, bytes. */
export const HMAC_KEY_BYTES_MIN = 32

/** Largest limits: connections at the same time, requests a second, bytes a second. */
export const CONNECTIONS_LIMIT_MAX = 1_048_576
export const REQUESTS_LIMIT_MAX = 100_000_000
export const BYTES_LIMIT_MAX = GIB
