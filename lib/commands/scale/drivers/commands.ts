// Nodes by commands of the operator's, such as a cloud's auto scaling group. No shell reads them.
//
//   list   prints the nodes, one host:port a line
//   out    is to bring the pool to MEMSLAB_SCALE_DESIRED nodes
//   in     is to end MEMSLAB_SCALE_NODE, and to keep MEMSLAB_SCALE_DESIRED

import type { CommandsOptions } from '../config/schema.ts'
import { checkedNames } from '../pool/names.ts'
import { execute } from '../run-program.ts'
import type { Driver } from './driver.ts'
import { untilNodes, type Wait } from './until-nodes.ts'

/** How often it is asked whether nodes have come. */
const LIST_MS = 1000

type Action = 'list' | 'out' | 'in'

export class CommandDriver implements Driver {
  readonly name = 'command'
  private readonly options: CommandsOptions
  /** The fewest and the most that the configuration allows, for the commands to know. */
  private readonly range: { least: number; most: number }

  constructor(options: CommandsOptions, range: { least: number; most: number }) {
    this.options = options
    this.range = range
  }

  async nodes(signal: AbortSignal): Promise<string[]> {
    const printed = await this.run('list', {}, signal)
    return checkedNames(
      printed
        .split('\n')
        .map(line => line.trim())
        .filter(line => line !== ''),
    )
  }

  async grow(to: number, have: readonly string[], signal: AbortSignal): Promise<void> {
    await this.run('out', environmentOf(to, have), signal)
    const late = `fewer than ${to} nodes in time`
    await untilNodes(
      signal => this.nodes(signal),
      nodes => nodes.length >= to,
      late,
      this.wait(signal),
    )
  }

  async remove(
    node: string,
    to: number,
    have: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    await this.run('in', { ...environmentOf(to, have), MEMSLAB_SCALE_NODE: node }, signal)
    const late = `${node} is still there`
    await untilNodes(
      signal => this.nodes(signal),
      nodes => !nodes.includes(node),
      late,
      this.wait(signal),
    )
  }

  /** Whoever runs the nodes starts them again. */
  async repair(): Promise<string[]> {
    return []
  }

  private wait(signal: AbortSignal): Wait {
    return { everyMs: LIST_MS, atMostMs: this.options.ready, signal }
  }

  private run(
    action: Action,
    own: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<string> {
    const env = {
      MEMSLAB_SCALE_ACTION: action,
      MEMSLAB_SCALE_LEAST: String(this.range.least),
      MEMSLAB_SCALE_MOST: String(this.range.most),
      ...own,
    }
    return execute({ words: this.options[action], env, timeoutMs: this.options.timeout, signal })
  }
}

function environmentOf(to: number, have: readonly string[]): Record<string, string> {
  return {
    MEMSLAB_SCALE_DESIRED: String(to),
    MEMSLAB_SCALE_CURRENT: String(have.length),
    MEMSLAB_SCALE_NODES: have.join(','),
  }
}
