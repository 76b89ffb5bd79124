// The interface by which sessions authenticate peers: whether a peer must authenticate, whether its
// claim is right, and how long the answer is delayed after failures. The server implements it with
// the password files (lib/server). A host without one serves everybody.
//
// Text connections (-Y) and binary connections by SASL (-S) have separate users. With an
// authenticator, connections of a protocol that has no users are not served at all.

import type { Claim } from '../access/claim.ts'

export type { Claim } from '../access/claim.ts'

export interface Authenticator {
  /** Text connections must authenticate. */
  readonly textNeeded: boolean
  /** Binary connections must authenticate. */
  readonly saslNeeded: boolean
  /** Whether this name and password are right. Takes the same time for any claim. */
  checkText(claim: Claim): boolean
  checkSasl(claim: Claim): boolean
  /**
   * Delay of the answer to a right or wrong claim of the connection `id` with this number of
   * failures, milliseconds.
   */
  judge(id: number, failures: number, right: boolean): number
}
