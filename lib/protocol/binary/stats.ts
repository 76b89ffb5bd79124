// The STAT command: one frame per statistic with its name as the key, and an empty frame at the
// end. The reports, and how many letters of some names must match, are memcached's. Rare, so it may
// allocate.

import { countPrefixes } from '../../observe/journal.ts'
import { dumpPrefixes, resetStats } from '../control/stats.ts'
import type { Host } from '../host.ts'
import { reportStats } from '../report/report.ts'
import * as B from './layout.ts'
import { Opcode } from './layout.ts'

/** Reports that the binary protocol has too; their names must match completely. */
const HOT_KEYS = 'hotkeys'
const REPORTS = ['', 'items', 'slabs', 'sizes', 'sizes_enable', 'sizes_disable', HOT_KEYS]
/** None of these reports depends on the peer that asks. */
const NOBODY = 0
const DETAIL = 'detail'
const LINE = /^STAT (\S+) (.*)$/

/** The frames that answer STAT `name`; null if there is no such report. */
export function statFrames(host: Host, name: string, opaque: number): Buffer | null {
  if (name.startsWith('reset')) {
    resetStats(host)
    return frameOf('', '', opaque)
  }
  if (name.startsWith(DETAIL)) return detailFrames(host, name.slice(DETAIL.length), opaque)
  if (name === HOT_KEYS && !host.allowed.dump) return null
  const known = name.startsWith('settings') ? 'settings' : name
  if (known !== 'settings' && !REPORTS.includes(known)) return null
  const report = reportStats(host, known, NOBODY)
  return report === null ? null : framesOf(report, opaque)
}

/** `detail on`, `detail off` and `detail dump`: counts by the prefix of keys. */
function detailFrames(host: Host, word: string, opaque: number): Buffer | null {
  if (!host.allowed.dump) return null
  const end = frameOf('', '', opaque)
  if (word.startsWith(' dump')) {
    const lines = dumpPrefixes(host).toString('latin1')
    return Buffer.concat([frameOf('detailed', lines, opaque), end])
  }
  const isOn = word.startsWith(' on')
  if (!isOn && !word.startsWith(' off')) return null
  countPrefixes(host.journal.handle, isOn)
  return end
}

/** The rows of a text report as frames. */
function framesOf(report: string, opaque: number): Buffer {
  const frames: Buffer[] = []
  for (const line of report.split('\r\n')) {
    const match = LINE.exec(line)
    if (match !== null) frames.push(frameOf(match[1], match[2], opaque))
  }
  frames.push(frameOf('', '', opaque))
  return Buffer.concat(frames)
}

function frameOf(name: string, value: string, opaque: number): Buffer {
  const frame = Buffer.alloc(B.HEADER_BYTES + name.length + value.length)
  frame[0] = B.RESPONSE_MAGIC
  frame[B.OPCODE] = Opcode.STAT
  frame.writeUInt16BE(name.length, B.KEY_BYTES)
  frame.writeUInt32BE(name.length + value.length, B.BODY_BYTES)
  frame.writeInt32BE(opaque, B.OPAQUE)
  frame.write(name + value, B.HEADER_BYTES, 'latin1')
  return frame
}
