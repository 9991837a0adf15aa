/**
 * Statements of a transaction go out in the order of their calls, as on any client. While BEGIN is on its way by itself, or with the first of them, the others wait: should it fail, they would be
 * stored outside of any transaction.
 */

export interface Turn {
  /** Hands it to the client before it returns. Must not throw. */
  send(): void
  /** It is never sent. */
  refuse(error: Error): void
}

export class Line {
  readonly #waiting: Turn[] = []
  #isHeld = false

  get isHeld(): boolean {
    return this.#isHeld || this.#waiting.length > 0
  }

  hold(): void {
    this.#isHeld = true
  }

  /** Those that wait go, until one of them holds the line again. */
  letGo(): void {
    this.#isHeld = false
    while (!this.#isHeld) {
      const next = this.#waiting.shift()
      if (!next) return
      next.send()
    }
  }

  wait(turn: Turn): void {
    this.#waiting.push(turn)
  }

  take(turn: Turn): void {
    if (this.isHeld) this.wait(turn)
    else turn.send()
  }

  /** For a statement with a promise. */
  inTurn<Result>(send: () => Promise<Result>): Promise<Result> {
    if (!this.isHeld) return send()
    return new Promise((resolve, reject) => this.wait({ send: () => void send().then(resolve, reject), refuse: reject }))
  }

  /** Resolves when all that wait now are with the client. */
  whenSent(): Promise<void> {
    return this.inTurn(async () => {})
  }

  refuseAll(error: Error): void {
    for (const turn of this.#waiting.splice(0)) turn.refuse(error)
  }
}
