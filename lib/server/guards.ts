// Access control for a thread: passwords, rights and TLS. A file of its own, because it is loaded
// only where one of them is on (isGuarded in worker-host.ts): Node's TLS and cryptography take a
// third of a thread's start.

export { AclDesk } from './access/desk.ts'
export { FileAuthenticator } from './auth/file-authenticator.ts'
export { Handshakes } from './tls/handshakes.ts'
export { Keyring, refreshKeyring } from './tls/keyring.ts'
