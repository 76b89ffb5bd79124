// A file that appears complete or not at all: written under another name, made durable, renamed,
// and its folder made durable. Whatever fails, an older file of the same name stays.

import { randomBytes } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'

/** Its owner may read it, others may not. */
const FILE_MODE = 0o600
const SUFFIX = '.part'

/** An unfinished file that nobody wrote to for so long is of a process that died. */
const ABANDONED_MS_MIN = 10 * 60_000

export class AsideFile {
  bytes = 0
  private readonly path: string
  private readonly aside: string
  private readonly fd: number

  /** Throws Node's error. */
  constructor(path: string) {
    this.path = path
    const unique = `${process.pid}-${randomBytes(4).toString('hex')}`
    this.aside = join(dirname(path), `.${basename(path)}.${unique}${SUFFIX}`)
    this.fd = openSync(this.aside, 'wx', FILE_MODE)
  }

  write(bytes: Buffer): void {
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.fd, bytes, done, bytes.length - done)
    }
    this.bytes += bytes.length
  }

  /** Gives the file its name. */
  commit(): void {
    fsyncSync(this.fd)
    closeSync(this.fd)
    renameSync(this.aside, this.path)
    const folder = openSync(dirname(this.path), 'r')
    fsyncSync(folder)
    closeSync(folder)
  }

  /** Removes what was written. After a failed `commit` too. */
  abandon(): void {
    try {
      closeSync(this.fd)
    } catch {
      // It was closed.
    }
    rmSync(this.aside, { force: true })
  }
}

/** Removes what processes that died have left in a folder. */
export function removeAbandoned(folder: string, nowMs = Date.now()): void {
  for (const name of readdirSync(folder)) {
    if (!name.startsWith('.') || !name.endsWith(SUFFIX)) continue
    const path = join(folder, name)
    const stat = statSync(path, { throwIfNoEntry: false })
    if (stat !== undefined && nowMs - stat.mtimeMs > ABANDONED_MS_MIN) rmSync(path, { force: true })
  }
}
