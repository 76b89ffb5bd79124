/** A lock on a file, against other processes: by node:ffi, and by the program flock. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import t from 'tap'
import { lockByProgram, lockFile } from '../../../lib/server/native/file-lock.ts'
import { skipWithout } from '../../support/oracle.ts'

/** Locks the file that it is given as its third descriptor, says so, and waits. */
const HOLDER = 'flock -x -n 3 && echo locked && exec cat'

for (const [name, lock] of Object.entries({ lockFile, lockByProgram })) {
  t.test(name, { skip: skipWithout('flock') }, async t => {
    const path = `${t.testdir({ it: '' })}/it`
    const own = openSync(path, 'r+')
    t.equal(lock(own), true)
    t.equal(lock(own), true, 'it has it already')
    const other = openSync(path, 'r+')
    t.equal(lock(other), false, 'another open file does not get it')
    closeSync(own)
    t.equal(lock(other), true, 'it ends with the open file')
    closeSync(other)

    const given = openSync(path, 'r+')
    const holder = spawn('sh', ['-c', HOLDER], { stdio: ['pipe', 'pipe', 'inherit', given] })
    await once(holder.stdout as NodeJS.ReadableStream, 'data')
    closeSync(given)
    const late = openSync(path, 'r+')
    t.equal(lock(late), false, 'a process has it that was given the file')
    holder.kill('SIGKILL')
    await once(holder, 'close')
    t.equal(lock(late), true, 'and no more after its end')
    closeSync(late)
  })
}
