// Runs a part of a bench in its own process, which prints its outcome as JSON.

import { once } from 'node:events'
import { start } from '../processes.ts'

export async function runSelf<T>(line: readonly string[]): Promise<T> {
  const stdio = ['ignore', 'pipe', 'inherit'] as const
  const child = start([process.execPath, '--expose-gc', ...line], undefined, { stdio: [...stdio] })
  let text = ''
  child.stdout?.on('data', part => {
    text += part
  })
  await once(child, 'close')
  if (child.exitCode !== 0) throw new Error(`${line.join(' ')}: exit code ${child.exitCode}`)
  return JSON.parse(text) as T
}
