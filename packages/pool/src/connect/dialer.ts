/** Opening connections: how many at once, how many retries, and after what pause. Keeps track of connection attempts, not of connections. */

import { backoffMillis, type Clock, ConnectionLostError, type ConnectStage, OutcomeUnknownError, type Timer } from '@thaw/core'
import { isBroken } from '../connection/vitals.ts'
import { noteReached, place, type Target, targetOf } from '../driver/endpoints.ts'
import { refusalOf } from '../driver/listeners.ts'
import type { PeerClient, Release } from '../driver/peer.ts'
import { streamOf } from '../driver/socket.ts'
import type { HostPlan, HostStep } from '../options/hosts.ts'
import { cameFromServer, judgeDial } from './dial-failure.ts'
import { followDial, timeDialSteps } from './dial-steps.ts'
import { HostOrder } from './hosts.ts'
import { giveUp } from './new-client.ts'
import { askedForMillis, awaitsVerdict, isPasswordFunctions, isUnanswered, pauseForPassword } from './password-function.ts'
import { startPausable } from './pausable.ts'
import { Rotation } from './rotation.ts'
import { SilentAddresses } from './silent-addresses.ts'

/** node-postgres' own message, see `saysLost`. */
const ENDED = 'Connection terminated unexpectedly'

export interface DialHost {
  readonly clock: Clock
  /** A function provides the password, perhaps a newer one: see `rotation.ts`. */
  readonly asksPassword: boolean
  readonly hosts?: HostPlan | undefined
  /** A connection leads to another host than the one before: what was learned of that one's server may not hold. */
  moved?(): void
  /** Makes a client and connects it. Calls back once; `made` before it connects, and `prepares` when it is open and `onConnect` begins. Returns the client, or throws if it cannot be made at all. */
  open(
    done: (error: Error | undefined, client: PeerClient | undefined, release: Release) => void,
    step: HostStep | undefined,
    made: (client: PeerClient) => void,
    prepares: () => void,
  ): PeerClient | undefined
  /** Watches it for as long as `onConnect` has it. Should another attempt be made beside it, as it may be silent, or never end? */
  watchPreparing?(client: PeerClient): boolean
  opened(client: PeerClient, release: Release, dial: Dial): void
  /** An attempt failed. `final`: retrying would not help. Otherwise `waitMillis` is called next. */
  failed(error: Error, dial: Dial, final: boolean): void
  /** Should another attempt begin, beside this many, and this many that take long? And why? */
  reasonToDial(hopeful: number, overdue: number): 'needed' | 'hedge' | undefined
  /** How many more connections there may be. Negative: there are too many. */
  room(): number
  /** How long the first waiting caller waits in total. Undefined: no caller waits. */
  waitMillis(): number | undefined
  /** Is the server full, so that others wait as well? Then a newcomer does not begin with short pauses. */
  awaitsTurn?(): boolean
  /** For how long the place of a connection that was given up is left to others. Zero or less: for no longer. */
  restMillis?(): number
  /** A step of an attempt took this long: one round trip. */
  stepped(millis: number): void
  retrying(error: Error, delayMillis: number): void
  /** The pause is over: another attempt may begin. */
  resume(): void
}

/** One attempt, or the last of several. */
export interface Dial {
  readonly target: Target | undefined
  /** Attempts since the last one that succeeded. */
  readonly attempts: number
  readonly tookMillis: number
  /** Made beside a connection that might still reply: no caller depends on it. */
  readonly isHedge: boolean
  readonly stage: ConnectStage | undefined
  /** With several hosts: what is wrong with each. */
  readonly hosts?: string | undefined
  /** Another of the hosts has answered, or is still being tried: this one's failure need not be a typing error. */
  readonly isListRight?: boolean | undefined
}

/**
 * An attempt that takes longer is hedged. One that was lost on the way would otherwise cost every caller all of its time; one whose server
 * is slow to wake up must not be given up. TCP itself resends a lost SYN after a second (RFC 6298).
 */
const OVERDUE_MILLIS = 1000
/** Each attempt that is hedged as well gives the next one more time than it had, but five still fit into the ten seconds of a caller. */
const OVERDUE_GROWTH = 1.4

/** As if so many attempts had failed before: a ceiling of 0.6 s, and then of one. */
const ATTEMPTS_AWAITING_TURN = 6

/** The longest-running attempt. */
export interface UnderWay extends Pick<Dial, 'target' | 'stage'> {
  /** For how long its password function has been running. Undefined: it is not. */
  readonly passwordMillis: number | undefined
}

interface Attempt {
  readonly step: HostStep | undefined
  client: PeerClient | undefined
  stage: (() => ConnectStage) | undefined
  /** `onConnect` has it. */
  isPreparing: boolean
  isOverdue: boolean
  /** Another one was faster. */
  isSuperfluous: boolean
}

export class Dialer {
  readonly #host: DialHost
  readonly #hosts: HostOrder | undefined
  readonly #silent: SilentAddresses
  #failures = 0
  #pause: Timer | undefined
  #passwordRefused = false
  readonly #rotation = new Rotation()
  /** Grows with each attempt that takes longer: a server in trouble does not get ever more of them. */
  #overdueMillis = OVERDUE_MILLIS
  readonly #attempts = new Set<Attempt>()
  /** If there is one connection too many, it is this one. */
  #newest: Attempt | undefined

  constructor(host: DialHost) {
    this.#host = host
    this.#hosts = host.hosts && new HostOrder(host.hosts, host.clock)
    this.#silent = new SilentAddresses(host.clock)
  }

  get outstanding(): number {
    return this.#attempts.size
  }

  /** Where the longest-running attempt is going, and the stage it has reached. */
  get underWay(): UnderWay | undefined {
    const now = this.#host.clock.mono()
    for (const { client, stage } of this.#attempts)
      return { target: client && targetOf(client), stage: stage?.(), passwordMillis: askedForMillis(client, now) }
    return undefined
  }

  /**
   * Why another one should begin now. Undefined: it should not, or there is a pause between two attempts, or a failure that allows only one
   * attempt at a time.
   */
  get reason(): 'needed' | 'hedge' | undefined {
    // Whenever there are more callers than connections, this runs for each release: no list is made while no attempt is under way.
    const overdue = this.#attempts.size === 0 ? 0 : this.#overdue().length
    const hopeful = this.#attempts.size - overdue
    if (this.#pause !== undefined || (this.#failures > 0 && hopeful > 0)) return undefined
    const reason = this.#host.reasonToDial(hopeful, overdue)
    const restMillis = reason ? (this.#host.restMillis?.() ?? 0) : 0
    if (restMillis <= 0) return reason
    this.#wait(restMillis)
    return undefined
  }

  #wait(millis: number): void {
    this.#pause = this.#host.clock.setTimer(() => {
      this.#pause = undefined
      this.#host.resume()
    }, millis)
  }

  #overdue(): Attempt[] {
    return [...this.#attempts].filter(({ isOverdue }) => isOverdue)
  }

  dial(isHedge = false): void {
    const { clock } = this.#host
    const startedAt = clock.mono()
    const isSecondPassword = this.#passwordRefused
    const step = this.#hosts?.next()
    const attempt: Attempt = { step, client: undefined, stage: undefined, isPreparing: false, isOverdue: false, isSuperfluous: false }
    const wait = () => startPausable(clock, this.#overdueMillis, timeUp, true)
    const timeUp = () => {
      if (!attempt.isPreparing || this.#watchPreparing(attempt)) return this.#late(attempt)
      overdue = wait()
    }
    let overdue = wait()
    const end = (): Dial => {
      const { client } = attempt
      overdue.cancel()
      this.#attempts.delete(attempt)
      return {
        target: client && targetOf(client),
        attempts: this.#failures + 1,
        tookMillis: clock.mono() - startedAt,
        isHedge,
        stage: attempt.stage?.(),
      }
    }
    this.#attempts.add(attempt)
    this.#newest = attempt
    try {
      const client = this.#host.open(
        (error, opened, release) => {
          const dial = end()
          const unfit = opened && unfitness(opened)
          if (unfit) release(unfit)
          else if (opened) return this.#succeed(opened, release, dial, attempt)
          // The server may be waiting for a password that does not come, and would wait for a minute.
          streamOf(attempt.client)?.destroy()
          if (attempt.isSuperfluous) return this.#host.resume()
          this.#fail(
            unfit ?? causeOf(error) ?? new Error('The client reported neither a connection nor an error'),
            dial,
            isSecondPassword,
            attempt,
          )
        },
        step,
        (made) => {
          this.#silent.avoid(made)
          pauseForPassword(made, overdue)
        },
        () => {
          attempt.isPreparing = true
          this.#watchPreparing(attempt)
        },
      )
      attempt.client = client
      attempt.stage = client && followDial(client)
      if (client) timeDialSteps(client, clock, (millis) => this.#host.stepped(millis))
    } catch (error) {
      this.#host.failed(error as Error, end(), true)
    }
  }

  /** Gives up the attempts under way: each fails with its own failure. */
  abandon(): void {
    for (const { client } of this.#attempts) giveUp(client)
  }

  /**
   * Another one is made beside it. If it is itself such an extra one, above `max`, it makes room for the next; if there is one already, that
   * is enough for all that take long: a slow server is not made to begin their logins anew.
   */
  #late(attempt: Attempt): void {
    attempt.isOverdue = true
    this.#silent.note(attempt.client)
    // The one that is made beside it goes to the next host.
    if (attempt.step) this.#hosts?.failed(attempt.step)
    const isTooMany = this.#host.room() < 0
    if (isTooMany && attempt !== this.#newest) return
    this.#overdueMillis *= OVERDUE_GROWTH
    if (isTooMany) this.#drop(attempt)
    else this.#host.resume()
  }

  #drop(attempt: Attempt | undefined): void {
    if (!attempt) return
    attempt.isSuperfluous = true
    giveUp(attempt.client)
  }

  #watchPreparing({ client }: Attempt): boolean {
    return client === undefined || this.#host.watchPreparing?.(client) !== false
  }

  stop(): void {
    if (this.#pause !== undefined) this.#host.clock.clearTimer(this.#pause)
    this.#pause = undefined
  }

  #succeed(client: PeerClient, release: Release, dial: Dial, attempt: Attempt): void {
    const { step } = attempt
    this.#failures = 0
    this.#silent.answered(client)
    if (step && this.#hosts?.succeeded(step)) this.#host.moved?.()
    this.#passwordRefused = false
    this.#rotation.accepted()
    this.#overdueMillis = OVERDUE_MILLIS
    if (this.#host.room() < 0) this.#makeRoom(attempt)
    if (dial.target) noteReached(dial.target)
    this.#host.opened(client, release, dial)
  }

  /** One of them is too many, unless it is there for others that take long as well. */
  #makeRoom(winner: Attempt): void {
    const [longest] = this.#overdue()
    if (winner === this.#newest || !longest) this.#drop(longest ?? [...this.#attempts].at(-1))
  }

  #fail(error: Error, dial: Dial, isSecondPassword: boolean, { step, client, isPreparing }: Attempt): void {
    this.#failures++
    if (dial.target && (isPreparing || cameFromServer(error))) noteReached(dial.target)
    const verdict = judgeDial(error, awaitsVerdict(client))
    // As with libpq, a server that refuses the login ends the search.
    const isNext = verdict === 'again' && step !== undefined && this.#hosts?.failed(step) === true
    if (dial.isHedge) {
      this.#host.failed(error, { ...dial, ...this.#noted(error, dial) }, false)
      return this.#host.resume()
    }
    const isRotated = verdict === 'password' && this.#rotation.refused(this.#host.clock.mono(), this.#host.waitMillis() ?? 0)
    const askAgain = verdict === 'password' && this.#host.asksPassword && (!isSecondPassword || isRotated)
    if (askAgain) this.#passwordRefused = true
    const final = verdict === 'fail' || (verdict === 'password' && !askAgain)
    if (final) this.#hosts?.restart()
    // A host that is passed over says nothing about the address as a whole.
    this.#host.failed(error, { ...dial, ...this.#noted(error, dial), ...(isNext && { target: undefined }) }, final)
    const waitMillis = this.#host.waitMillis()
    // A later caller may be given a newer one.
    if (waitMillis === undefined) this.#passwordRefused = false
    if (final || this.#pause !== undefined || waitMillis === undefined) return this.#host.resume()
    const attempt = this.#failures - 1 + (this.#host.awaitsTurn?.() ? ATTEMPTS_AWAITING_TURN : 0)
    const delay = isNext || (askAgain && !isSecondPassword) ? 0 : backoffMillis(attempt, waitMillis, this.#host.clock.random())
    this.#wait(delay)
    this.#host.retrying(error, delay)
  }

  #noted(error: Error, { target }: Dial): Pick<Dial, 'hosts' | 'isListRight'> | undefined {
    if (!this.#hosts) return undefined
    const ofPassword = isUnanswered(error) ? 'did not answer in time' : isPasswordFunctions(error) ? 'failed' : undefined
    const why = ofPassword ? `the \`password\` function ${ofPassword}` : error.message
    if (target) this.#hosts.note(place(target), why, cameFromServer(error))
    return { hosts: this.#hosts.report, isListRight: this.#hosts.hasAnswered || this.#attempts.size > 0 }
  }
}

/** Why an open connection is not handed out: a `connect` listener threw, or it died while `onConnect` was running. */
function unfitness(client: PeerClient): Error | undefined {
  return refusalOf(client) ?? (isBroken(client) ? new Error(ENDED) : undefined)
}

/** If a statement of `onConnect` loses its connection, the attempt has failed: the caller has sent nothing yet. */
function causeOf(error: Error | undefined): Error | undefined {
  const isLoss = error instanceof ConnectionLostError || error instanceof OutcomeUnknownError
  return isLoss && error.cause instanceof Error ? error.cause : error
}
