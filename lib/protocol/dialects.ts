// Which protocol a peer speaks: the listener's, or the one that the first byte of the connection
// belongs to. Where peers must authenticate, one that only does that comes first.

import { AccessBinary } from './auth/access-binary.ts'
import { AccessText } from './auth/access-text.ts'
import { AuthBinary } from './auth/binary.ts'
import { AuthText } from './auth/text.ts'
import { BinaryProtocol } from './binary/binary.ts'
import { REQUEST_MAGIC } from './binary/layout.ts'
import type { Conversation, Protocol, ProtocolName } from './conversation.ts'
import { TextProtocol } from './text.ts'

/** Null: peers must authenticate, and this protocol has no users. */
export function protocolFor(
  peer: Conversation,
  name: ProtocolName,
  firstByte: number,
): Protocol | null {
  const { auth, access } = peer.host
  const isBinary = name === 'auto' ? firstByte === REQUEST_MAGIC : name === 'binary'
  if (access !== null && peer.pass !== null) {
    if (isBinary) return new AccessBinary(peer, access, peer.pass)
    return peer.pass.isLoggedIn ? new TextProtocol(peer) : new AccessText(peer, access, peer.pass)
  }
  if (auth === null) return isBinary ? new BinaryProtocol(peer) : new TextProtocol(peer)
  if (isBinary) return auth.saslNeeded ? new AuthBinary(peer, auth) : null
  return auth.textNeeded ? new AuthText(peer, auth) : null
}
