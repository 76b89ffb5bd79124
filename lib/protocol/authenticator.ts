// What a session asks before it serves a peer: whether it must say who it is, whether what it says is
// right, and how long one that keeps failing waits for its answer. The server builds it from the
// password files (lib/server); a host without one serves everybody.
//
// Two doors, each with users of its own: text connections (-Y) say a name and a password in place
// of their first command, binary ones (-S) by SASL. Where there is an authenticator, a connection that
// speaks a protocol without a door is not served at all.

/** Where a name and a password stand, half-open ranges of one buffer. */
export interface Claim {
  bytes: Buffer
  userStart: number
  userEnd: number
  passwordStart: number
  passwordEnd: number
}

export interface Authenticator {
  /** Text connections have a door, and must pass it. */
  readonly textNeeded: boolean
  /** Binary connections have a door, and must pass it. */
  readonly saslNeeded: boolean
  /** Whether this name and password open the door. Costs the same whoever asks, for any answer. */
  checkText(claim: Claim): boolean
  checkSasl(claim: Claim): boolean
  /**
   * The connection `id` said who it is, right or wrong, after so many failures of its own: how long
   * its answer has to wait, milliseconds.
   */
  judge(id: number, failures: number, right: boolean): number
}
