// The file of -e: the image of a cache between two processes. While a daemon serves, the file is
// empty, on the disk too, so no old value can ever come back from it. It is written in place: what
// a process wrote before it was killed can be used. The file stays open, as the user that opened
// it, and locked: no other daemon has it meanwhile.
//
//   header, HEADER_BYTES | image of arena 0 | image of arena 1 | ...

import {
  closeSync,
  constants,
  fstatSync,
  fsync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { decodeHeader, encodeHeader, type ImageHeader, LOADS_AT, Unusable } from './image-header.ts'
import { HEADER_BYTES, LOADS_MAX } from './limits.ts'

/** Nobody else may read what clients stored. */
const MODE = 0o600

/** An open file that another process goes on with. */
export interface PassedFile {
  path: string
  descriptor: number
}

/** Locks an open file against all other processes; false: one of them has it. */
export type LockFile = (descriptor: number) => boolean

export class MemoryFile {
  readonly path: string
  private readonly lock: LockFile
  private open: number
  /** It has something else than an image: it is left alone. */
  private isForeign = false

  /**
   * Creates it if need be. `given`: the descriptor of the process before this one, which has locked
   * it. Throws Unusable if another process has it, or Node's error.
   */
  constructor(path: string, lock: LockFile, given?: number) {
    this.path = path
    this.lock = lock
    this.open = given ?? openFile(path, lock)
  }

  passed(): PassedFile {
    return { path: this.path, descriptor: this.open }
  }

  get descriptor(): number {
    return this.open
  }

  /** Null: it is empty. Throws Unusable, or Node's error. */
  readHeader(): ImageHeader | null {
    if (!fstatSync(this.open).isFile()) throw this.leave('it is not a file')
    const bytes = Buffer.alloc(HEADER_BYTES)
    const length = readSync(this.open, bytes, 0, HEADER_BYTES, 0)
    if (length === 0) return null
    try {
      return decodeHeader(bytes.subarray(0, length))
    } catch (error) {
      this.isForeign = error instanceof Unusable && error.isForeign
      throw error
    }
  }

  /** Notes that a load begins. Throws Unusable after too many that never ended. */
  noteLoad(): void {
    const loads = Buffer.alloc(4)
    readSync(this.open, loads, 0, 4, LOADS_AT)
    const begun = loads.readUInt32LE(0)
    if (begun >= LOADS_MAX) throw new Unusable(`${begun} processes ended while they loaded it`)
    loads.writeUInt32LE(begun + 1, 0)
    writeSync(this.open, loads, 0, 4, LOADS_AT)
  }

  /**
   * From now on it has no image, unless it is somebody else's: not after a crash of the machine
   * either, since clients change what is in it.
   */
  clear(): void {
    if (this.isForeign) return
    ftruncateSync(this.open, 0)
    fsyncSync(this.open)
  }

  /** Begins an image. Throws Unusable, or Node's error. */
  begin(header: ImageHeader): void {
    if (!this.isInPlace()) {
      const open = openFile(this.path, this.lock)
      closeSync(this.open)
      this.open = open
    }
    this.lookWhose()
    if (this.isForeign) throw new Unusable('it is not an image of memslab', true)
    ftruncateSync(this.open, 0)
    const bytes = encodeHeader(header)
    writeSync(this.open, bytes, 0, bytes.length, 0)
  }

  /** Makes what was written durable, and the file's name. Rejects with Node's error. */
  async sync(): Promise<void> {
    await promisify(fsync)(this.open)
    let folder = -1
    try {
      folder = openSync(dirname(this.path), 'r')
    } catch {
      // This user may not read it.
      return
    }
    try {
      await promisify(fsync)(folder)
    } finally {
      closeSync(folder)
    }
  }

  close(): void {
    closeSync(this.open)
  }

  /** Somebody may have written to it meanwhile. */
  private lookWhose(): void {
    this.isForeign = false
    try {
      this.readHeader()
    } catch (error) {
      if (!(error instanceof Unusable)) throw error
    }
  }

  private leave(reason: string): Unusable {
    this.isForeign = true
    return new Unusable(reason, true)
  }

  /** Whether the path still names the open file. */
  private isInPlace(): boolean {
    const { ino, dev } = fstatSync(this.open)
    try {
      const there = statSync(this.path, { throwIfNoEntry: false })
      return there?.ino === ino && there.dev === dev
    } catch {
      // This user may not look there, but may write to what it has open.
      return true
    }
  }
}

/** Where the image of an arena begins in the file. */
export function sectionAt({ sections }: ImageHeader, index: number): number {
  const before = sections.slice(0, index)
  return before.reduce((sum, { imageBytes }) => sum + imageBytes, HEADER_BYTES)
}

function openFile(path: string, lock: LockFile): number {
  const descriptor = openSync(path, constants.O_RDWR | constants.O_CREAT, MODE)
  if (lock(descriptor)) return descriptor
  closeSync(descriptor)
  throw new Unusable('another process uses it')
}
