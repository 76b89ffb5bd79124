/**
 * Sends steps to one server, or to two at the same time, and collects the answers. An answer is
 * complete once no bytes come. If two servers differ they get some seconds to agree, since one of
 * them may be late on a busy machine.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Pair } from './differential.ts'
import { HOST } from './process.ts'
import { Wire } from './wire.ts'

const QUIET_MS = 500

export interface Talk<Answer> {
  readonly answers: readonly Answer[]
  /** Whether the server closed the connection. */
  readonly closed: boolean
}

/** Turns the bytes received after a step into an answer. */
type Read<Answer> = (bytes: Buffer) => Answer

/**
 * The answers of both. `newer` are the expected answers where the daemon follows a newer memcached
 * than the oracle. The address is one of this machine's, since penalties count by address.
 */
export async function talkToBoth<Answer>(
  { oracle, daemon }: Pair,
  steps: readonly string[],
  address: string,
  read: Read<Answer>,
  newer?: Talk<Answer>,
): Promise<{ oracle: Talk<Answer>; daemon: Talk<Answer> }> {
  const [theirs, ours] = [new Course(steps, read), new Course(steps, read)]
  await Promise.all([
    theirs.run(oracle.port, address, () => newer !== undefined || theirs.isAs(ours)),
    ours.run(daemon.port, address, () => ours.isAs(newer ?? theirs)),
  ])
  return { oracle: theirs.talk, daemon: ours.talk }
}

export async function talkTo<Answer>(
  port: number,
  steps: readonly string[],
  address: string,
  read: Read<Answer>,
): Promise<Talk<Answer>> {
  const course = new Course(steps, read)
  await course.run(port, address, () => true)
  return course.talk
}

class Course<Answer> implements Talk<Answer> {
  readonly answers: Answer[] = []
  closed = false
  readonly #steps: readonly string[]
  readonly #read: Read<Answer>

  constructor(steps: readonly string[], read: Read<Answer>) {
    this.#steps = steps
    this.#read = read
  }

  get talk(): Talk<Answer> {
    const { answers, closed } = this
    return { answers, closed }
  }

  async run(port: number, localAddress: string, isSettled: () => boolean): Promise<void> {
    const socket = connect({ port, host: HOST, localAddress, noDelay: true })
    await once(socket, 'connect')
    const wire = new Wire(socket)
    for (const [index, step] of this.#steps.entries()) {
      wire.send(Buffer.from(step, 'latin1'))
      const look = () => {
        this.answers[index] = this.#read(wire.peek())
        return isSettled()
      }
      await wire.readUntilQuietAnd(look, QUIET_MS)
      this.answers[index] = this.#read(wire.take())
      this.closed = wire.closed
    }
    wire.close()
  }

  /** Whether the other one's answer begins with this one's. */
  isAs({ answers, closed }: Talk<Answer>): boolean {
    const isFurther = answers.length > this.answers.length
    const same = answers.slice(0, this.answers.length)
    if (JSON.stringify(same) !== JSON.stringify(this.answers)) return false
    return isFurther || closed === this.closed
  }
}
