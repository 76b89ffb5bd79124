/** A service manager's socket: what a daemon tells it, message by message. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadNative } from '../../lib/server/native/libc.ts'
import type { Owner } from './process.ts'

const WAIT_MS_MAX = 60_000
const POLL_MS = 10
const MESSAGE_BYTES_MAX = 4096
const AF_UNIX = 1
const SOCK_DGRAM_NONBLOCK = 2 | 0o4000
/** Numbers of system calls. */
const SOCKET = 41
const BIND = 49
const PTRACE = 101
const PTRACE_SEIZE = 0x4206
const PTRACE_INTERRUPT = 0x4207
const PTRACE_DETACH = 17

const native = process.arch === 'x64' ? loadNative() : undefined

/** Why there can be none; false: there can. */
export const noNotifySocket = native === undefined && 'no node:ffi, or not on x64'

export interface NotifySocket {
  path: string
  /** The next message that contains this text; the ones before it are dropped. */
  next(text: string): Promise<string>
}

export function openNotifySocket(owner: Owner): NotifySocket {
  if (native === undefined) throw new Error(String(noNotifySocket))
  const { read, addressOf } = native
  const folder = mkdtempSync(join(tmpdir(), 'notify-'))
  const path = join(folder, 'socket')
  const name = Buffer.from(`\0\0${path}\0`)
  name.writeUInt16LE(AF_UNIX)
  const descriptor = native.call('socket', SOCKET, AF_UNIX, SOCK_DGRAM_NONBLOCK, 0)
  native.call('bind', BIND, descriptor, addressOf(name), name.length)
  owner.teardown(() => {
    native.close(descriptor)
    rmSync(folder, { recursive: true, force: true })
  })
  const bytes = Buffer.alloc(MESSAGE_BYTES_MAX)
  const next = async (text: string) => {
    const endMs = Date.now() + WAIT_MS_MAX
    while (Date.now() < endMs) {
      const length = read(descriptor, addressOf(bytes), bytes.length)
      const message = bytes.toString('latin1', 0, Math.max(0, length))
      if (message.includes(text)) return message
      if (length <= 0) await sleep(POLL_MS)
    }
    throw new Error(`no message with ${text}`)
  }
  return { path, next }
}

/**
 * Stops one thread of a child process, and no other. Returns what lets it go on: until then the
 * process cannot end.
 */
export function holdThread(thread: number): () => void {
  const trace = (request: number) => native?.call('ptrace', PTRACE, request, thread, 0, 0)
  trace(PTRACE_SEIZE)
  trace(PTRACE_INTERRUPT)
  return () => void trace(PTRACE_DETACH)
}
