// A lock on an open file, which keeps other processes out until the last one that has it open ends,
// however it ends (flock). It stays with the open file: a process that is given the descriptor has
// the lock too. Node has no call for it: node:ffi does it (native/ffi.ts), or the program flock of
// util-linux or busybox, which locks a descriptor that it inherits.

import { spawnSync } from 'node:child_process'
import { constants } from 'node:os'
import { functionsOf, loadFfi } from './ffi.ts'

const LOCK_EXCLUSIVE_NOW = 2 | 4

const FUNCTIONS = {
  flock: { arguments: ['i32', 'i32'], return: 'i32' },
  __errno_location: { arguments: [], return: 'u64' },
} as const

/** The exit code of flock where another process has the lock. */
const EXIT_HELD = 1
const PROGRAM_MS_MAX = 5000

/**
 * Locks an open file. False: another process has the lock. True too where nobody can tell: without
 * node:ffi and flock, or on a file system without locks.
 */
export function lockFile(descriptor: number): boolean {
  const status = lockByCall(descriptor)
  return status === undefined ? lockByProgram(descriptor) : status
}

/** Undefined: this Node has no node:ffi, or another interface of it. */
function lockByCall(descriptor: number): boolean | undefined {
  try {
    const ffi = loadFfi()
    if (ffi === undefined) return undefined
    const functions = functionsOf(new ffi.DynamicLibrary(null), FUNCTIONS)
    if (functions.flock(descriptor, LOCK_EXCLUSIVE_NOW) === 0) return true
    return ffi.getInt32(functions.__errno_location()) !== constants.errno.EWOULDBLOCK
  } catch {
    return undefined
  }
}

/** As lockFile, by the program. */
export function lockByProgram(descriptor: number): boolean {
  try {
    const { status } = spawnSync('flock', ['-x', '-n', '3'], {
      stdio: ['ignore', 'ignore', 'ignore', descriptor],
      timeout: PROGRAM_MS_MAX,
    })
    return status !== EXIT_HELD
  } catch {
    // This process may start no program.
    return true
  }
}
