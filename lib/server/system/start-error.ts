// Why the daemon cannot start, in one line, with the exit code that goes with it.

import { EXIT_OS_ERROR } from '../../options/options.ts'

export class StartError extends Error {
  readonly exitCode: number
  constructor(line: string, exitCode = EXIT_OS_ERROR) {
    super(line)
    this.exitCode = exitCode
  }
}
