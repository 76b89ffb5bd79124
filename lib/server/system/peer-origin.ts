// Where a peer is from, for what counts by address: failed log-ins, and limits.

const IPV6 = /^(?:tcp|udp)6:\[([\da-f:.]+)/
const IPV4 = /^(?:tcp|udp):(.+):\d+$/
const IPV6_GROUPS = 8
const MAPPED = '::ffff:'

/**
 * The origin of a peer with this address (addressText): without its port, which differs for each
 * connection. Of IPv6 it is the network, because a peer has a whole /64 of addresses. Peers of UNIX
 * sockets are one.
 */
export function originOf(address: string): string {
  const [, groups] = IPV6.exec(address) ?? []
  if (groups !== undefined) return originOfHost(groups)
  return IPV4.exec(address)?.[1] ?? address
}

/** As `originOf`, of an address alone. IPv4 in IPv6 (::ffff:10.0.0.1) is IPv4. */
export function originOfHost(host: string): string {
  if (host.startsWith(MAPPED) && host.includes('.')) return host.slice(MAPPED.length)
  return host.includes(':') ? networkOf(host) : host
}

/** The first half of an IPv6 address, with the zeros that `::` leaves out. */
function networkOf(groups: string): string {
  const [head, tail] = groups.split('::').map(part => part.split(':').filter(Boolean))
  const zeros = tail === undefined ? 0 : IPV6_GROUPS - head.length - tail.length
  const all = [...head, ...Array.from({ length: zeros }, () => '0'), ...(tail ?? [])]
  return all.slice(0, IPV6_GROUPS / 2).join(':')
}
