/** Opening connections: how many at once, how often again, and after what pause. Remembers dials, not connections. */

import { backoffMillis, type Clock, ConnectionLostError, OutcomeUnknownError, type Timer } from '@thaw/core'
import { cameFromServer, judgeDial, type Target } from './dial-failure.ts'
import { refusalOf } from './listeners.ts'
import type { PeerClient, Release } from './peer.ts'
import { isBroken } from './vitals.ts'

/** node-postgres' own words, see `saysLost`. */
const ENDED = 'Connection terminated unexpectedly'

/** Endpoints that answered once in this process: their address is no typing error. */
const reached = new Set<string>()

/** What a dialler needs of its pool. */
export interface DialHost {
  readonly clock: Clock
  /** The password is asked of a function, which may have a newer one. */
  readonly asksPassword: boolean
  /** Makes a client and connects it. Calls back once. Returns the client, or throws if it cannot be made at all. */
  open(done: (error: Error | undefined, client: PeerClient | undefined, release: Release) => void): PeerClient | undefined
  /** A connection stands. */
  opened(client: PeerClient, release: Release, dial: Dial): void
  /** A dial failed. `final`: dialling again would not help. Otherwise `remainingMillis` is asked next. */
  failed(error: Error, dial: Dial, final: boolean): void
  /** How long the first of those who still wait will go on waiting. Undefined: nobody waits. */
  remainingMillis(): number | undefined
  /** Dialling again, in so many milliseconds. */
  retrying(error: Error, delayMillis: number): void
  /** It may be dialled again now. */
  resume(): void
}

/** One attempt, or the last of several. */
export interface Dial {
  readonly target: Target | undefined
  /** Attempts since the last one that succeeded. */
  readonly attempts: number
  readonly tookMillis: number
}

/** What pg's connection says of a dial before the dial itself has failed. */
const FAILURES = ['error', 'errorMessage', 'end'] as const

export class Dialler {
  readonly #host: DialHost
  #outstanding = 0
  #failures = 0
  #pause: Timer | undefined
  #passwordRefused = false
  readonly #dialling = new Set<PeerClient>()
  /** Of these pg knows already that they have failed, and has not told us. */
  readonly #failing = new Set<object>()

  constructor(host: DialHost) {
    this.#host = host
  }

  /** Dials that have not ended yet. */
  get outstanding(): number {
    return this.#outstanding
  }

  /** Is there a pause between two attempts, or a failure that makes us dial one at a time until one succeeds? */
  get mayDial(): boolean {
    return this.#pause === undefined && this.#failing.size === 0 && (this.#failures === 0 || this.#outstanding === 0)
  }

  dial(): void {
    const { clock } = this.#host
    const startedAt = clock.mono()
    const isSecondPassword = this.#passwordRefused
    let client: PeerClient | undefined
    const attempt = {}
    // pg-pool looks for more to dial for before it reports that a dial has failed: we have to know earlier.
    const failing = () => void this.#failing.add(attempt)
    const stopListening = () => {
      for (const name of FAILURES) client?.connection?.off(name, failing)
    }
    const end = (): Dial => {
      this.#outstanding--
      this.#failing.delete(attempt)
      stopListening()
      if (client) this.#dialling.delete(client)
      return { target: client && targetOf(client), attempts: this.#failures + 1, tookMillis: clock.mono() - startedAt }
    }
    this.#outstanding++
    try {
      client = this.#host.open((error, opened, release) => {
        const dial = end()
        const unfit = opened && unfitness(opened)
        if (unfit) release(unfit)
        else if (opened) return this.#succeed(opened, release, dial)
        // The server, which may be waiting for a password that nobody has, would wait for a minute.
        client?.connection?.stream.destroy()
        this.#fail(unfit ?? causeOf(error) ?? new Error('The client gave neither a connection nor an error'), dial, isSecondPassword)
      })
      for (const name of FAILURES) client?.connection?.prependListener(name, failing)
      // From here on `onConnect` may send statements, and be told of errors.
      client?.connection?.once('readyForQuery', stopListening)
      if (client) this.#dialling.add(client)
    } catch (error) {
      this.#host.failed(error as Error, end(), true)
    }
  }

  /** Gives up what is being dialled: each dial fails by its own failure. */
  abandon(): void {
    for (const { connection } of this.#dialling) connection?.stream.destroy()
  }

  /** Stops the pause, if there is one. */
  stop(): void {
    if (this.#pause !== undefined) this.#host.clock.clearTimer(this.#pause)
    this.#pause = undefined
  }

  #succeed(client: PeerClient, release: Release, dial: Dial): void {
    this.#failures = 0
    this.#passwordRefused = false
    if (dial.target) reached.add(key(dial.target))
    this.#host.opened(client, release, dial)
  }

  #fail(error: Error, dial: Dial, isSecondPassword: boolean): void {
    this.#failures++
    if (dial.target && cameFromServer(error)) reached.add(key(dial.target))
    const verdict = judgeDial(error)
    const askAgain = verdict === 'password' && this.#host.asksPassword && !isSecondPassword
    if (askAgain) this.#passwordRefused = true
    const final = verdict === 'fail' || (verdict === 'password' && !askAgain)
    this.#host.failed(error, dial, final)
    const remaining = this.#host.remainingMillis()
    // Who comes later may be given a newer one.
    if (remaining === undefined) this.#passwordRefused = false
    if (final || this.#pause !== undefined || remaining === undefined) return this.#host.resume()
    const delay = askAgain ? 0 : backoffMillis(this.#failures - 1, remaining, this.#host.clock.random())
    this.#pause = this.#host.clock.setTimer(() => {
      this.#pause = undefined
      this.#host.resume()
    }, delay)
    this.#host.retrying(error, delay)
  }
}

/** Why a connection that stands is not lent all the same: a `connect` listener threw, or it died while `onConnect` was at work. */
function unfitness(client: PeerClient): Error | undefined {
  return refusalOf(client) ?? (isBroken(client) ? new Error(ENDED) : undefined)
}

/** A statement of `onConnect` that lost its connection is a dial that failed: the caller has sent nothing yet. */
function causeOf(error: Error | undefined): Error | undefined {
  const isLoss = error instanceof ConnectionLostError || error instanceof OutcomeUnknownError
  return isLoss && error.cause instanceof Error ? error.cause : error
}

/** Has this endpoint ever answered in this process? */
export function wasReached(target: Target | undefined): boolean {
  return target !== undefined && reached.has(key(target))
}

function key({ host, port }: Target): string {
  return `${host}:${port}`
}

export function targetOf(client: PeerClient): Target {
  return { host: client.host, port: client.port, database: client.database ?? '' }
}
