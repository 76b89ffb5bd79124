// Which addresses may connect (--allow): addresses and networks of the options, and of the files
// that they name. At the start an entry that is wrong is an error. When files are read again on
// request, the list from before stays if one is wrong. Only the main thread asks: it accepts all
// connections, and gets all datagrams.
//
//   10.0.0.0/8           a network, or one address
//   @/etc/memslab.allow  a file of them, one a line; `#` begins a comment

import { readFileSync, statSync } from 'node:fs'
import { BlockList, isIP } from 'node:net'
import { resolve } from 'node:path'
import { readAllowOf } from '../../options/config-file.ts'
import { EXIT_FAILURE, type Options } from '../../options/options.ts'
import { reasonOf } from '../system/reason.ts'
import { StartError } from '../system/start-error.ts'
import { ALLOW_ENTRIES_MAX, ALLOW_FILE_BYTES_MAX } from './limits.ts'

const FILE_MARK = '@'

export class AllowList {
  /** Null: everybody may connect. */
  private list: BlockList | null
  private readonly config: string | undefined
  private readonly given: readonly string[]

  /** Throws a StartError. */
  constructor({ allow, allowConfig }: Pick<Options, 'allow' | 'allowConfig'>) {
    // The process may change its folder.
    this.given = allow.map(absolute)
    this.config = allowConfig
    try {
      this.list = listOf(this.given)
    } catch (error) {
      throw new StartError(reasonOf(error), EXIT_FAILURE)
    }
  }

  /** Whether this address may connect. IPv4 in IPv6 (::ffff:10.0.0.1) is IPv4. */
  admits(address: string): boolean {
    const { list } = this
    return list === null || list.check(address, address.includes(':') ? 'ipv6' : 'ipv4')
  }

  /** Reads the files again, and the file of options. Throws an Error of one line, of no effect. */
  reload(): void {
    const { config } = this
    const entries = config === undefined ? this.given : readAllowOf(config).map(absolute)
    this.list = listOf(entries)
  }
}

function absolute(entry: string): string {
  return entry.startsWith(FILE_MARK) ? `${FILE_MARK}${resolve(entry.slice(1))}` : entry
}

function listOf(entries: readonly string[]): BlockList | null {
  if (entries.length === 0) return null
  const list = new BlockList()
  let count = 0
  for (const { text, where } of entries.flatMap(expanded)) {
    if (++count > ALLOW_ENTRIES_MAX)
      throw new Error(`--allow: more than ${ALLOW_ENTRIES_MAX} entries`)
    if (!addNetwork(list, text)) throw new Error(`${where}: "${text}" is no address and no network`)
  }
  return list
}

/** An entry, or those of its file. */
function expanded(entry: string): { text: string; where: string }[] {
  if (!entry.startsWith(FILE_MARK)) return [{ text: entry, where: '--allow' }]
  const path = entry.slice(1)
  const lines = readText(path).split(/\r?\n/)
  const found = lines.map((line, index) => {
    return { text: line.replace(/#.*$/, '').trim(), where: `${path}:${index + 1}` }
  })
  const entries = found.filter(({ text }) => text !== '')
  // An empty file is a mistake more often than a wish to let nobody in.
  if (entries.length === 0) throw new Error(`--allow: [${path}] names no address`)
  return entries
}

function readText(path: string): string {
  try {
    if (statSync(path).size > ALLOW_FILE_BYTES_MAX) throw new Error('it is too long')
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`--allow: could not read [${path}]: ${reasonOf(error)}`)
  }
}

/** Adds an address or a network; false: it is neither. */
export function addNetwork(list: BlockList, text: string): boolean {
  const [, address = '', digits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const version = isIP(address)
  if (version === 0 || address.includes('%')) return false
  const family = version === 4 ? 'ipv4' : 'ipv6'
  const bits = digits === undefined ? -1 : Number(digits)
  if (bits > (version === 4 ? 32 : 128)) return false
  if (bits < 0) list.addAddress(address, family)
  else list.addSubnet(address, bits, family)
  return true
}
