// Who somebody says to be.

/** The positions of a name and a password: half-open ranges of one buffer. */
export interface Claim {
  bytes: Buffer
  userStart: number
  userEnd: number
  passwordStart: number
  passwordEnd: number
}
