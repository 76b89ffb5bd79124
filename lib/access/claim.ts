// Who somebody says to be.

import { createHmac } from 'node:crypto'

/** The positions of a name and a password: half-open ranges of one buffer. */
export interface Claim {
  bytes: Buffer
  userStart: number
  userEnd: number
  passwordStart: number
  passwordEnd: number
}

/** 32 bytes that tell one name and password from all others; with another key they are others. */
export function digestOfClaim(
  key: Buffer,
  { bytes, userStart, userEnd, passwordStart, passwordEnd }: Claim,
): Buffer {
  const hmac = createHmac('sha256', key)
  // The length marks the end of the name, since both parts may contain any byte.
  hmac.update(Uint32Array.of(userEnd - userStart))
  hmac.update(bytes.subarray(userStart, userEnd))
  hmac.update(bytes.subarray(passwordStart, passwordEnd))
  return hmac.digest()
}
