// The items of a snapshot as text, one line an item: JSON, or CSV. The file was verified before.
//
//   JSON  {"key":"a","flags":0,"expires":null,"value":"text"}; what is no text is in base64, as
//         "key64" and "value64"
//   CSV   key,flags,expires,value64: the key with its bytes percent-encoded, as in metadump
//
// The value of an item that is longer than a block is written piece by piece, always in base64.

import { isUtf8 } from 'node:buffer'
import { once } from 'node:events'
import { closeSync } from 'node:fs'
import type { Area } from '../../bytes/area.ts'
import { openSnapshot, type RecordSink, SnapshotReader } from '../../keeping/snapshot/reader.ts'
import type { RecordHead } from '../../keeping/snapshot/records.ts'

export type ExportFormat = 'json' | 'csv'

/** Writes all items to `output`; `withValues`: with their values. Throws Unsound. */
export async function exportSnapshot(
  path: string,
  secret: Buffer | null,
  format: ExportFormat,
  withValues: boolean,
  output: NodeJS.WritableStream,
): Promise<void> {
  const fd = openSnapshot(path)
  try {
    const reader = new SnapshotReader(fd, secret)
    const lines = format === 'json' ? new JsonLines(withValues) : new CsvLines(withValues)
    await write(output, lines.head)
    for (const unit of reader.units) {
      reader.read(unit, lines)
      await write(output, lines.drain())
    }
  } finally {
    closeSync(fd)
  }
}

async function write(output: NodeJS.WritableStream, text: string): Promise<void> {
  if (text !== '' && !output.write(text)) await once(output, 'drain')
}

abstract class Lines implements RecordSink {
  readonly head: string = ''
  protected readonly withValues: boolean
  private text: string[] = []
  /** Of a long value: bytes that do not fill a group of base64 yet. */
  private rest: Buffer = Buffer.alloc(0)

  constructor(withValues: boolean) {
    this.withValues = withValues
  }

  /** The text since the last call. */
  drain(): string {
    const text = this.text.join('')
    this.text = []
    return text
  }

  take(head: RecordHead, payload: Area, keyAt: number, valueAt: number): void {
    const key = payload.bytes.subarray(keyAt, keyAt + head.keyBytes)
    const value = payload.bytes.subarray(valueAt, valueAt + head.valueBytes)
    this.text.push(`${this.line(head, key, this.withValues ? value : null)}\n`)
  }

  begin(head: RecordHead, payload: Area, keyAt: number): boolean {
    const key = payload.bytes.subarray(keyAt, keyAt + head.keyBytes)
    if (!this.withValues) {
      this.text.push(`${this.line(head, key, null)}\n`)
      return false
    }
    this.text.push(this.opening(head, key))
    return true
  }

  more(payload: Area, start: number, length: number): void {
    const bytes = Buffer.concat([this.rest, payload.bytes.subarray(start, start + length)])
    const whole = bytes.length - (bytes.length % 3)
    this.text.push(bytes.toString('base64', 0, whole))
    this.rest = bytes.subarray(whole)
  }

  end(): void {
    this.text.push(this.rest.toString('base64'), `${this.closing}\n`)
    this.rest = Buffer.alloc(0)
  }

  protected abstract readonly closing: string
  protected abstract line(head: RecordHead, key: Buffer, value: Buffer | null): string
  /** A line up to the base64 of its value. */
  protected abstract opening(head: RecordHead, key: Buffer): string
}

class JsonLines extends Lines {
  protected readonly closing = '"}'

  protected line(head: RecordHead, key: Buffer, value: Buffer | null): string {
    const fields = { ...fieldsOf(head, key), ...(value === null ? {} : textOf('value', value)) }
    return JSON.stringify(fields)
  }

  protected opening(head: RecordHead, key: Buffer): string {
    return `${JSON.stringify(fieldsOf(head, key)).slice(0, -1)},"value64":"`
  }
}

class CsvLines extends Lines {
  override readonly head: string = this.withValues
    ? 'key,flags,expires,value64\n'
    : 'key,flags,expires,bytes\n'
  protected readonly closing = ''

  protected line(head: RecordHead, key: Buffer, value: Buffer | null): string {
    return `${this.opening(head, key)}${value === null ? head.valueBytes : value.toString('base64')}`
  }

  protected opening(head: RecordHead, key: Buffer): string {
    const expires = head.expiresAtS === 0 ? '' : head.expiresAtS
    return `${percentEncoded(key)},${head.flags},${expires},`
  }
}

function fieldsOf(head: RecordHead, key: Buffer) {
  const { flags, expiresAtS, valueBytes, casHigh, casLow } = head
  const cas = (BigInt(casHigh >>> 0) << 32n) | BigInt(casLow >>> 0)
  return {
    ...textOf('key', key),
    flags,
    expires: expiresAtS === 0 ? null : new Date(expiresAtS * 1000).toISOString(),
    bytes: valueBytes,
    ...(cas === 0n ? {} : { cas: String(cas) }),
  }
}

function textOf(name: string, bytes: Buffer): Record<string, string> {
  return isUtf8(bytes) ? { [name]: bytes.toString() } : { [`${name}64`]: bytes.toString('base64') }
}

function percentEncoded(key: Buffer): string {
  let text = ''
  for (const byte of key) {
    const character = String.fromCharCode(byte)
    const isPlain = /[A-Za-z0-9._~:/-]/.test(character)
    text += isPlain ? character : `%${byte.toString(16).padStart(2, '0').toUpperCase()}`
  }
  return text
}
