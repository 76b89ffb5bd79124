// The parent's side of a load process (load.ts). Each server has its own, so that both servers stay
// warm and connected while only one is driven.

import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Case } from './cases.ts'
import { start, stop } from './processes.ts'

export type LoadTask =
  | { kind: 'prepare'; place: Place; load: Case; seed: number }
  | { kind: 'run'; seconds: number; ratePerS: number | undefined }

// Where a server listens. The certificate is PEM text.
export interface Place {
  port: number
  tls: { port: number; certificate: string } | undefined
}

export type LoadReply =
  | { kind: 'ready' }
  | { kind: 'result'; result: LoadResult }
  | { kind: 'failed'; message: string }

export interface LoadResult {
  requestCount: number
  seconds: number
  loadCpuUs: number
  p50Us: number
  p99Us: number
  p999Us: number
  longestUs: number
  sampleCount: number
}

const ENTRY = fileURLToPath(new URL('load.ts', import.meta.url))
const REPLY_MS = 60_000

export class Driver {
  readonly #process: ChildProcess

  constructor(core: number | undefined) {
    this.#process = start([process.execPath, ENTRY], core, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
  }

  async prepare(place: Place, load: Case, seed: number): Promise<void> {
    await this.#perform({ kind: 'prepare', place, load, seed }, REPLY_MS)
  }

  // Requests a second at `ratePerS`, or as fast as replies come if it is undefined.
  async run(seconds: number, ratePerS?: number): Promise<LoadResult> {
    const task: LoadTask = { kind: 'run', seconds, ratePerS }
    const reply = await this.#perform(task, REPLY_MS + seconds * 1000)
    if (reply.kind !== 'result') throw new Error(`unexpected '${reply.kind}' of the load process`)
    return reply.result
  }

  async stop(): Promise<void> {
    await stop(this.#process)
  }

  #perform(task: LoadTask, timeoutMs: number): Promise<LoadReply> {
    const child = this.#process
    return new Promise((resolve, reject) => {
      const settle = (reply: LoadReply | Error) => {
        clearTimeout(timer)
        child.off('message', settle).off('exit', onExit)
        if (reply instanceof Error) reject(reply)
        else if (reply.kind === 'failed') reject(new Error(reply.message))
        else resolve(reply)
      }
      const onExit = () => settle(new Error('the load process ended'))
      const onTimeout = () => settle(new Error(`no reply of the load process in ${timeoutMs} ms`))
      const timer = setTimeout(onTimeout, timeoutMs)
      child.on('message', settle).on('exit', onExit)
      child.send(task, error => {
        if (error) settle(error)
      })
    })
  }
}
