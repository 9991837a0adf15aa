/** Is a password that the server refuses wrong, or is it being rotated? */

/**
 * A secrets manager changes the password at the server first, and hands out the new one seconds later: meanwhile every new connection is
 * refused. A pool that has logged in before waits for that as it waits for a server that restarts; one that never has was given a wrong
 * password.
 */
export class Rotation {
  #hasLoggedIn = false
  #refusedAt: number | undefined

  accepted(): void {
    this.#hasLoggedIn = true
    this.#refusedAt = undefined
  }

  /** The server has refused it, now. Is that likely to pass within the time for which a caller waits, counted from the first refusal? */
  refused(now: number, withinMillis: number): boolean {
    this.#refusedAt ??= now
    return this.#hasLoggedIn && now - this.#refusedAt < withinMillis
  }
}
