// What keeps the doors of a thread: passwords and TLS. A room of its own because it is loaded only
// where one of them is on (isGuarded in host.ts): with Node's TLS and cryptography it would be a
// third of a thread's start.

export { FileAuthenticator } from './authenticator.ts'
export { Handshakes } from './handshakes.ts'
export { Keyring, refreshKeyring } from './keyring.ts'
export { TlsHandshakes } from './tls-handshakes.ts'
