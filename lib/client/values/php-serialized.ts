// Reads what PHP's serialize() made: null, booleans, numbers, strings, arrays, and objects of no
// class of their own (stdClass). Nothing else is a value for another language, least of all an
// object whose class would have to run.
//
//   N;   b:1;   i:42;   d:0.5;   s:2:"hi";   a:1:{i:0;s:1:"x";}   O:8:"stdClass":1:{s:1:"a";i:1;}

/** Arrays in arrays; deeper ones are refused. */
const DEPTH_MAX = 512
const [COLON, SEMICOLON, QUOTE] = [0x3a, 0x3b, 0x22]
const PLAIN_CLASS = 'stdClass'

/**
 * An array whose keys are 0, 1, 2 ... is an array here too, any other one an object. TypeError for
 * what is damaged or no plain data.
 */
export function unserialize(bytes: Buffer): unknown {
  const reader = new Reader(bytes)
  const value = reader.value(0)
  reader.end()
  return value
}

class Reader {
  private readonly bytes: Buffer
  private at = 0

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  end(): void {
    if (this.at !== this.bytes.length) throw damaged(this.at)
  }

  value(depth: number): unknown {
    const type = String.fromCharCode(this.bytes[this.at++])
    this.expect(type === 'N' ? SEMICOLON : COLON)
    switch (type) {
      case 'N':
        return null
      case 'b':
        return this.number() !== 0
      case 'i':
        return this.whole()
      case 'd':
        return this.number()
      case 's': {
        const text = this.text()
        this.expect(SEMICOLON)
        return text
      }
      case 'a':
        return this.array(depth)
      case 'O':
        return this.object(depth)
    }
    throw new TypeError(`serialize() of PHP, type ${JSON.stringify(type)}: no plain data`)
  }

  private array(depth: number): unknown {
    const entries = this.entries(depth)
    const isList = entries.every(([key], i) => key === i)
    return isList ? entries.map(([, value]) => value) : Object.fromEntries(entries)
  }

  private object(depth: number): unknown {
    const name = this.text()
    if (name !== PLAIN_CLASS) throw new TypeError(`an object of PHP's class ${name}`)
    this.expect(COLON)
    return Object.fromEntries(this.entries(depth))
  }

  private entries(depth: number): [PropertyKey, unknown][] {
    if (depth >= DEPTH_MAX) throw new TypeError('arrays of PHP, too deep')
    const count = this.count()
    this.expect('{'.charCodeAt(0))
    const entries: [PropertyKey, unknown][] = []
    for (let i = 0; i < count; i++) {
      const key = this.value(depth + 1)
      if (typeof key !== 'string' && typeof key !== 'number') throw damaged(this.at)
      entries.push([key, this.value(depth + 1)])
    }
    this.expect('}'.charCodeAt(0))
    return entries
  }

  /** `5:"hello"`: the length is in bytes. */
  private text(): string {
    const length = this.count()
    this.expect(QUOTE)
    const start = this.at
    this.at += length
    if (!(this.at < this.bytes.length)) throw damaged(start)
    this.expect(QUOTE)
    return this.bytes.toString('utf8', start, start + length)
  }

  private whole(): number | bigint {
    const text = this.until(SEMICOLON)
    const number = Number(text)
    if (!/^-?\d+$/.test(text)) throw damaged(this.at)
    return Number.isSafeInteger(number) ? number : BigInt(text)
  }

  private count(): number {
    const text = this.until(COLON)
    if (!/^\d+$/.test(text)) throw damaged(this.at)
    return Number(text)
  }

  private number(): number {
    const text = this.until(SEMICOLON)
    const number = Number(text.replace('INF', 'Infinity'))
    if (text === '' || (Number.isNaN(number) && text !== 'NAN')) throw damaged(this.at)
    return number
  }

  private until(end: number): string {
    const stop = this.bytes.indexOf(end, this.at)
    if (stop < 0) throw damaged(this.at)
    const text = this.bytes.toString('latin1', this.at, stop)
    this.at = stop + 1
    return text
  }

  private expect(byte: number): void {
    if (this.bytes[this.at++] !== byte) throw damaged(this.at - 1)
  }
}

function damaged(at: number): TypeError {
  return new TypeError(`damaged serialize() of PHP, at byte ${at}`)
}
