// The log as a file, written by pino's destination: asynchronous, bounded, and kept over a full
// disk until there is room again. SIGHUP opens it again, for programs that rotate logs.

import { pino } from 'pino'

export interface LogFile {
  write(text: string): void
  /** Opens the path again; where that fails, the open file goes on. */
  reopen(): void
  /** Writes what waits, at the end of the process. */
  flush(): void
}

/**
 * Opens the file to append to it. Rejects with Node's error. `lost` is called for each text that
 * found no room among `bytesMax` bytes that wait.
 */
export async function openLogFile(
  path: string,
  bytesMax: number,
  lost: () => void,
): Promise<LogFile> {
  const file = pino.destination({
    dest: path,
    append: true,
    sync: false,
    maxLength: bytesMax,
    mode: 0o640,
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  file.once('ready', resolve)
  file.once('error', reject)
  await promise
  file.off('error', reject)
  // What could not be written waits, and is tried again with the next line.
  file.on('error', () => {})
  file.on('drop', lost)
  return {
    write: text => file.write(text),
    reopen: () => file.reopen(),
    flush: () => {
      try {
        file.flushSync()
      } catch {
        // A full disk at the end: these lines are lost.
      }
    },
  }
}
