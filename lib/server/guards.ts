// What keeps the doors of a thread: passwords and TLS. A room of its own because it is loaded only
// where one of them is on (isGuarded in server/worker-host.ts): with Node's TLS and cryptography it would be a
// third of a thread's start.

export { FileAuthenticator } from './auth/file-authenticator.ts'
export { TlsHandshakes } from './tls/handshakes.ts'
export { Keyring, refreshKeyring } from './tls/keyring.ts'
export { Handshakes } from './tls/node-handshakes.ts'
