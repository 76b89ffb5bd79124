// Redis for bench:pool, which does without it where it is not installed.

import type { ChildProcess } from 'node:child_process'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasEnded, isInstalled, start } from '../processes.ts'
import { freePort } from '../servers.ts'

const PROGRAM = 'redis-server'
const START_MS = 20_000

export interface RedisServer {
  process: ChildProcess
  port: number
}

/** Undefined: it is not installed. */
export async function startRedis(): Promise<RedisServer | undefined> {
  if (!isInstalled(PROGRAM)) return undefined
  const port = await freePort()
  const line = [PROGRAM, '--port', `${port}`, '--bind', '127.0.0.1', '--save', '']
  const process = start(line, undefined, { stdio: 'ignore' })
  const endMs = performance.now() + START_MS
  while (performance.now() < endMs && !hasEnded(process)) {
    if (await accepts(port)) return { process, port }
    await sleep(50)
  }
  throw new Error(`${PROGRAM} did not start`)
}

function accepts(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    const settle = (isOpen: boolean) => {
      socket.destroy()
      resolve(isOpen)
    }
    socket.once('connect', () => settle(true)).once('error', () => settle(false))
  })
}
