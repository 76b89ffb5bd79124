// -l: where to listen, text -> addresses. Listeners are separated by commas or semicolons, each is
//
//   [notls:|btls:|mtls:] [proto[<name>]:] [tag[<name>]:] <host> [:<port>]
//
// or with `proto_<name>_` and `tag_<name>_`, for shells in which brackets are special. A host is a
// name, an IPv4 address, an IPv6 address (in brackets if a port follows), or `*` for every
// interface.

import { EXIT_OS_ERROR, type ListenAddress } from './options.ts'
import { Refused } from './values.ts'

const PORT_MAX = 65535
/** Marks that no port was given. */
const PORT_NONE = -2
const TAG_CHARS_MAX = 8
const TLS_WORDS = { notls: 'none', btls: 'basic', mtls: 'mutual' } as const
/** How many characters of a protocol's name memcached reads. */
const PROTOCOLS = { ascii: 'ascii', binary: 'binary', negotiating: 'auto', auto: 'auto' } as const

type Prefixes = Pick<ListenAddress, 'protocol' | 'tag' | 'tls'>

export function readListen(text: string, port: number): ListenAddress[] {
  const words = text.split(/[,;]/).filter(word => word.trim() !== '')
  // An empty value (of an unset variable) must not open every interface: that takes `*`.
  if (words.length === 0) throw new Refused('-l names no address (* is every interface)')
  return words.flatMap(word => readListener(word, port))
}

/** --admin: `[notls:][<host>:]<port>`. Without a host it is for this machine alone. */
export function readAdmin(text: string): ListenAddress {
  const [, tlsWord, rest = ''] = /^(notls:)?(.*)$/.exec(text) ?? []
  const word = /^\d+$/.test(rest) ? `127.0.0.1:${rest}` : rest
  const listeners = readListener(word, PORT_NONE)
  const [address] = listeners
  if (listeners.length !== 1 || address === undefined || address.port === PORT_NONE) {
    throw new Refused(`--admin takes [notls:][<host>:]<port>, not "${text}"`)
  }
  return tlsWord === undefined ? address : { ...address, tls: 'none' }
}

function readListener(text: string, port: number): ListenAddress[] {
  const [prefixes, word] = readPrefixes(text)
  const [, bracketed, own] = /^\[([^[\]]*)\](?::(.*))?$/.exec(word) ?? []
  if (bracketed !== undefined) return [{ host: bracketed, port: portOf(own, port), ...prefixes }]
  if (word.startsWith('[')) throw new Refused(`Invalid IPV6 address: "${word}"`, EXIT_OS_ERROR)
  const parts = word.split(':')
  if (parts.length > 2) return [{ host: word, port, ...prefixes }]
  const [host = '', afterHost] = parts
  const listenPort = portOf(afterHost, port)
  if (host !== '' && host !== '*') return [{ host, port: listenPort, ...prefixes }]
  return ['0.0.0.0', '::'].map(any => ({ host: any, port: listenPort, ...prefixes }))
}

function readPrefixes(text: string): [Prefixes, string] {
  const prefixes: Prefixes = {}
  let rest = text
  const [tlsText, tlsWord] = /^(notls|btls|mtls):/.exec(rest) ?? []
  if (tlsText !== undefined) {
    prefixes.tls = TLS_WORDS[tlsWord as keyof typeof TLS_WORDS]
    rest = rest.slice(tlsText.length)
  }
  const proto = takeNamed('proto', rest)
  if (proto !== undefined) {
    prefixes.protocol = PROTOCOLS[proto.name as keyof typeof PROTOCOLS]
    if (prefixes.protocol === undefined) {
      throw new Refused(`Invalid protocol spec: "${proto.name}"`, EXIT_OS_ERROR)
    }
    rest = proto.rest
  }
  const tag = takeNamed('tag', rest)
  if (tag === undefined) return [prefixes, rest]
  if (tag.name.length < 1 || tag.name.length > TAG_CHARS_MAX) {
    const bounds = `between 1 and ${TAG_CHARS_MAX} characters`
    throw new Refused(`Listener tags must be ${bounds}: "${tag.name}"`, EXIT_OS_ERROR)
  }
  prefixes.tag = tag.name
  return [prefixes, tag.rest]
}

function takeNamed(word: string, text: string): { name: string; rest: string } | undefined {
  const [all, inBrackets, inBars] =
    new RegExp(`^${word}(?:\\[([^[\\]]*)\\]|_([^_]*)_):`).exec(text) ?? []
  if (all === undefined) return undefined
  return { name: inBrackets ?? inBars ?? '', rest: text.slice(all.length) }
}

function portOf(text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise
  if (text === '-1') return 0
  if (/^\d+$/.test(text) && Number(text) <= PORT_MAX) return Number(text)
  throw new Refused(`Invalid port number: "${text}"`, EXIT_OS_ERROR)
}
