/** A pool in the small: core's rules, put together as a driver does it. What a driver has to get right beyond them is kept out. */

import { backoffMillis } from '../src/backoff.ts'
import { classify } from '../src/classify.ts'
import { elapsedMillis, type Reading, read, type Timer } from '../src/clock.ts'
import { startDeadline } from '../src/deadline.ts'
import { weighFreeze } from '../src/freeze.ts'
import { type GateVerdict, judge } from '../src/gate.ts'
import { pollSockets } from '../src/poll-sockets.ts'
import { BUDGET_TOKENS, earn, type RetryBudget, spend } from '../src/retry-budget.ts'
import type { FakeClock } from './fake-clock.ts'
import type { ScriptedServer, Socket } from './scripted-server.ts'

export interface ModelSettings {
  readonly max: number
  readonly trustMillis: number
  readonly probeMillis: number
  readonly dialMillis: number
  readonly statementMillis: number
  readonly idleTimeoutMillis: number
  readonly maxAgeMillis: number
}

/** Told of what the pool does, while it does it. */
export interface Watcher {
  /** The clocks were compared at acquire. */
  looked(): void
  dialled(socket: Socket): void
  asked(socket: Socket): void
  /** A wait for an answer is over, and there was none. */
  accused(socket: Socket): void
  lent(socket: Socket, isNew: boolean): void
  returned(socket: Socket): void
  repeated(): void
}

export interface Connection {
  readonly socket: Socket
  readonly generation: number
  readonly bornAt: Reading
  provenAt: Reading
  idleSince: Reading
  askedAt: number | undefined
  /** Tells the caller that waits for an answer whether it came. */
  settle: ((answered: boolean) => void) | undefined
  code: string | undefined
}

interface Waiter {
  readonly waitMillis: number
  readonly dueAt: number
  done(connection: Connection | undefined): void
}

const MOST_REPEATS = 2

export class ModelPool {
  readonly #clock: FakeClock
  readonly #server: ScriptedServer
  readonly #settings: ModelSettings
  readonly #watcher: Watcher
  readonly #connections = new Set<Connection>()
  readonly #idle: Connection[] = []
  readonly #waiters: Waiter[] = []
  #generation = 0
  #suspectSince = Number.NEGATIVE_INFINITY
  #lastLook: Reading | undefined
  #budget: RetryBudget = BUDGET_TOKENS
  #polling = false
  #justProven: Connection | undefined
  #outstanding = 0
  #failures = 0
  #pause: Timer | undefined

  constructor(clock: FakeClock, server: ScriptedServer, settings: ModelSettings, watcher: Watcher) {
    this.#clock = clock
    this.#server = server
    this.#settings = settings
    this.#watcher = watcher
  }

  get counts(): { readonly total: number; readonly idle: number; readonly waiting: number; readonly dialling: number } {
    return { total: this.#connections.size, idle: this.#idle.length, waiting: this.#waiters.length, dialling: this.#outstanding }
  }

  /** Calls back once: with a connection, or with undefined when the time is up. */
  acquire(millis: number, done: (connection: Connection | undefined) => void): void {
    const waiter: Waiter = {
      waitMillis: millis,
      dueAt: this.#clock.mono() + millis,
      done(connection) {
        deadline.cancel()
        done(connection)
      },
    }
    const deadline = startDeadline(this.#clock, millis, () => {
      this.#waiters.splice(this.#waiters.indexOf(waiter), 1)
      done(undefined)
    })
    this.#waiters.push(waiter)
    this.#pulse()
  }

  release(connection: Connection): void {
    this.#watcher.returned(connection.socket)
    if (!this.#connections.has(connection)) return
    connection.idleSince = read(this.#clock)
    this.#idle.push(connection)
    this.#pulse()
  }

  /** Acquires, sends a statement that may be repeated, releases. Calls back once. */
  query(millis: number, done: (succeeded: boolean) => void, repeats: number = MOST_REPEATS): void {
    this.acquire(millis, (connection) => {
      if (!connection) return done(false)
      connection.socket.write()
      this.#await(connection, this.#settings.statementMillis, (answered) => {
        if (answered) this.#budget = earn(this.#budget)
        else this.#remove(connection)
        this.release(connection)
        if (answered) return done(true)
        const left = spend(this.#budget)
        if (repeats === 0 || left === undefined) return done(false)
        this.#budget = left
        this.#watcher.repeated()
        this.query(millis, done, repeats - 1)
      })
    })
  }

  /** Destroys what is idle. */
  end(): void {
    for (const connection of [...this.#idle]) this.#remove(connection)
    if (this.#pause !== undefined) this.#clock.clearTimer(this.#pause)
  }

  #pulse(): void {
    if (this.#waiters.length > 0 && this.#idle.length > 0) this.#lendIdle()
    while (this.#mayDial()) this.#dial()
  }

  #lendIdle(): void {
    const now = read(this.#clock)
    if (this.#lastLook && weighFreeze(this.#lastLook, now) === 'certain') this.#suspectSince = now.mono
    this.#lastLook = now
    this.#watcher.looked()
    while (this.#waiters.length > 0) {
      const trusted = this.#findTrusted(now)
      if (!trusted) break
      this.#idle.splice(this.#idle.indexOf(trusted), 1)
      this.#lend(trusted, false)
    }
    if (this.#waiters.length > 0) this.#vet()
  }

  #findTrusted(now: Reading): Connection | undefined {
    for (const connection of [...this.#idle].reverse()) {
      const verdict = this.#judge(connection, now)
      if (verdict === 'trust') return connection
      if (verdict !== 'probe') this.#remove(connection)
    }
    return undefined
  }

  #judge(connection: Connection, now: Reading): GateVerdict {
    return judge(
      {
        broken: connection.socket.broken,
        generation: connection.generation,
        provenAt: connection.provenAt.mono,
        silenceMillis: elapsedMillis(connection.provenAt, now),
        idleMillis: elapsedMillis(connection.idleSince, now),
        ageMillis: elapsedMillis(connection.bornAt, now),
        maxAgeMillis: this.#settings.maxAgeMillis,
      },
      {
        generation: this.#generation,
        suspectSince: this.#suspectSince,
        // What has answered just now need not be asked again, however short the trust: but doubt outweighs that.
        trustMillis: connection === this.#justProven ? Number.POSITIVE_INFINITY : this.#settings.trustMillis,
        idleTimeoutMillis: this.#settings.idleTimeoutMillis,
      },
    )
  }

  #lend(connection: Connection, isNew: boolean): void {
    this.#watcher.lent(connection.socket, isNew)
    this.#waiters.shift()?.done(connection)
  }

  /** Polls the sockets once for all, then probes those that are still open and not trusted. */
  #vet(): void {
    if (this.#polling || this.#idle.every(({ askedAt }) => askedAt !== undefined)) return
    this.#polling = true
    pollSockets(this.#clock, () => {
      this.#polling = false
      const now = read(this.#clock)
      for (const connection of [...this.#idle]) {
        const verdict = this.#judge(connection, now)
        if (verdict === 'probe') this.#ask(connection, now)
        else if (verdict !== 'trust') this.#remove(connection)
      }
      this.#pulse()
    })
  }

  #ask(connection: Connection, now: Reading): void {
    if (connection.askedAt !== undefined) return
    connection.askedAt = now.mono
    this.#watcher.asked(connection.socket)
    connection.socket.write()
    this.#await(connection, this.#settings.probeMillis, (answered) => {
      connection.askedAt = undefined
      if (answered) {
        this.#justProven = connection
        this.#idle.push(...this.#idle.splice(this.#idle.indexOf(connection), 1))
      } else if (this.#connections.has(connection)) {
        this.#suspectSince = Math.max(this.#suspectSince, now.mono)
        this.#remove(connection)
      }
      this.#pulse()
      this.#justProven = undefined
    })
  }

  /** Waits for the server's next word on this connection, its end, or the end of our patience. */
  #await(connection: Connection, millis: number, done: (answered: boolean) => void): void {
    const deadline = startDeadline(this.#clock, millis, () => {
      this.#watcher.accused(connection.socket)
      connection.settle?.(false)
    })
    connection.settle = (answered) => {
      connection.settle = undefined
      deadline.cancel()
      done(answered)
    }
  }

  #mayDial(): boolean {
    const missing = this.#waiters.length - this.#outstanding - this.#idle.length
    const isPaused = this.#pause !== undefined || (this.#failures > 0 && this.#outstanding > 0)
    return missing > 0 && this.#connections.size < this.#settings.max && !isPaused
  }

  #dial(): void {
    const now = read(this.#clock)
    this.#outstanding++
    const socket = this.#server.dial({
      ready: () => {
        connection.provenAt = read(this.#clock)
        connection.settle?.(true)
      },
      lost: (code) => this.#lost(connection, code),
    })
    const connection: Connection = {
      socket,
      generation: this.#generation,
      bornAt: now,
      provenAt: now,
      idleSince: now,
      askedAt: undefined,
      settle: undefined,
      code: undefined,
    }
    this.#connections.add(connection)
    this.#watcher.dialled(socket)
    this.#await(connection, this.#settings.dialMillis, (answered) => {
      this.#outstanding--
      if (answered) this.#opened(connection)
      else this.#dialFailed(connection)
      this.#pulse()
    })
  }

  #opened(connection: Connection): void {
    this.#failures = 0
    // The server may have crashed since this dial began.
    if (connection.generation < this.#generation) return this.#remove(connection)
    connection.idleSince = read(this.#clock)
    if (this.#waiters.length > 0) this.#lend(connection, true)
    else this.#idle.push(connection)
  }

  #dialFailed(connection: Connection): void {
    this.#remove(connection)
    const first = this.#waiters[0]
    const verdict = classify({ code: connection.code ?? 'ETIMEDOUT' })?.dial
    this.#failures++
    if (!first || verdict !== 'again' || this.#pause !== undefined) return
    const wait = backoffMillis(this.#failures - 1, first.waitMillis, this.#clock.random())
    this.#pause = this.#clock.setTimer(() => {
      this.#pause = undefined
      this.#pulse()
    }, wait)
  }

  #lost(connection: Connection, code: string | undefined): void {
    const siblings = classify({ code })?.siblings
    if (siblings === 'evict') this.#generation++
    else if (siblings !== 'unharmed') this.#suspectSince = Math.max(this.#suspectSince, connection.askedAt ?? this.#clock.mono())
    connection.code = code
    this.#remove(connection)
    connection.settle?.(false)
    this.#pulse()
  }

  #remove(connection: Connection): void {
    connection.socket.destroy()
    this.#connections.delete(connection)
    const index = this.#idle.indexOf(connection)
    if (index !== -1) this.#idle.splice(index, 1)
  }
}
