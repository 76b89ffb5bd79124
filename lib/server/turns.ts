// The peers of one thread whose turn is over and who have more to run, in the order in which they
// go on. One of them has its next turn between two looks at what has arrived. So a peer that
// pipelines much waits for the others of its kind, and everybody else waits for one turn.

export class Turns {
  private readonly waiting: (() => void)[] = []

  get isEmpty(): boolean {
    return this.waiting.length === 0
  }

  /** `goOn` runs a peer's next turn, after those that wait already. */
  add(goOn: () => void): void {
    this.waiting.push(goOn)
  }

  /** Runs the next turn, if any peer waits for one. */
  step(): void {
    this.waiting.shift()?.()
  }
}
