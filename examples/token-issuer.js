// Issues tokens for memslab's --acl: short-lived credentials, as IAM has them. Whoever has the
// private key decides who gets one; daemons have the public key alone, in their file:
//
//   token issuer ed25519:<what this prints at its start> +read +write ~app:
//
//   node examples/token-issuer.js issuer.pem app '+read ~app:' 900
//
// prints a token that the user `app` shows as its password for 900 seconds. A new key is made where
// issuer.pem does not exist, and for this run alone where no file is named.

import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'

const [path, user = 'app', rights = '+read', seconds = '900'] = process.argv.slice(2)

function readKey() {
  if (path !== undefined && existsSync(path)) return createPrivateKey(readFileSync(path))
  const { privateKey } = generateKeyPairSync('ed25519')
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' })
  if (path !== undefined) writeFileSync(path, pem, { mode: 0o600 })
  return privateKey
}

const key = readKey()
const publicKey = createPublicKey(key).export({ format: 'der', type: 'spki' }).toString('base64')
console.error(`token issuer ed25519:${publicKey} +read +write`)

const part = value => Buffer.from(JSON.stringify(value)).toString('base64url')
const text = [
  part({ alg: 'EdDSA', kid: 'issuer' }),
  part({ sub: user, exp: Math.floor(Date.now() / 1000) + Number(seconds), rights }),
].join('.')
console.log(`${text}.${sign(null, Buffer.from(text), key).toString('base64url')}`)
