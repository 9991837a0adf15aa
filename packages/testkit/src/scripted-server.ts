/**
 * A stand-in for the wire, for running thousands of programs in a second: no socket, no process, and only a fake clock's time. It speaks as
 * much of the backend's protocol as a pool can see. Its answers are a script, so it proves nothing about PostgreSQL.
 */

import { Duplex } from 'node:stream'
import type { Clock } from '@thaw/core'
import { type ScriptedAnswer, ScriptedSession } from './scripted-session.ts'
import { BodyReader, type Request, RequestReader } from './scripted-wire.ts'

export type { ScriptedAnswer } from './scripted-session.ts'
export type { ScriptedColumn } from './scripted-wire.ts'

/** How a connection ends or falls silent. `fin`: closed by something on the way. `silence`: nothing arrives any more, until TCP's own keep-alive gives up. */
export type ScriptedFault = 'fin' | 'reset' | 'terminate' | 'silence'

/** How to make a scripted server. */
export interface ScriptedServerOptions {
  /** Moves the wire and the work. The pool's own clock, as a rule. */
  readonly clock: Clock
  /** What a statement answers; undefined: a syntax error. BEGIN, COMMIT, ROLLBACK, SET and the like are known without it. */
  readonly answer: (text: string, values: readonly (string | undefined)[], connection: ScriptedConnection) => ScriptedAnswer | undefined
  /** Each way, in milliseconds. Default: 1. */
  readonly latencyMillis?: number
  /** This many servers stand behind the address, and take the connections in turn. Default: 1. */
  readonly servers?: number
}

/** One connection that was made. */
export interface ScriptedConnection {
  readonly pid: number
  /** Which of the servers it came to. */
  readonly server: number
  /** Has neither side closed it? */
  readonly isOpen: boolean
  /** Does the server work on a statement of it? */
  readonly isBusy: boolean
  fault(kind: ScriptedFault): void
}

/** A server in this process. */
export interface ScriptedServer {
  /** For pg's option `stream`: makes a socket that leads here. */
  readonly stream: () => Duplex
  /** What becomes of a new connection. Default: `well`. `deaf`: never an answer. */
  mood: 'well' | 'refusing' | 'deaf'
  /** Those that are open, oldest first. */
  connections(): readonly ScriptedConnection[]
  /** The most that were open at once, cancel requests included. */
  readonly mostOpen: number
  /** For a freeze that stops the process's monotonic clock: the world goes on meanwhile. */
  elapse(millis: number): void
  /** Cuts everything. */
  close(): void
}

const CANCEL_REQUEST = 80_877_102
const SSL_REQUEST = 80_877_103
/** As Linux does with the settings that Thaw asks for: 10 s of silence, then ten probes. */
const KEEP_ALIVE_MILLIS = 20_000
const FIRST_PID = 1000
const TERMINATE = Buffer.of(0x58, 0, 0, 0, 4)

/** Makes a server in which nothing is real. */
export function createScriptedServer(options: ScriptedServerOptions): ScriptedServer {
  return new Server(options)
}

class Server implements ScriptedServer {
  mood: ScriptedServer['mood'] = 'well'
  mostOpen = 0
  readonly options: ScriptedServerOptions
  readonly time: WorldTime
  readonly latencyMillis: number
  readonly #sockets = new Set<ScriptedSocket>()
  #count = 0

  constructor(options: ScriptedServerOptions) {
    this.options = options
    this.time = new WorldTime(options.clock)
    this.latencyMillis = options.latencyMillis ?? 1
  }

  readonly stream = (): Duplex => new ScriptedSocket(this)

  connections(): readonly ScriptedConnection[] {
    return [...this.#sockets].filter(({ isOpen }) => isOpen)
  }

  elapse(millis: number): void {
    this.time.elapse(millis)
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** It gets a number, and one of the servers. */
  enter(socket: ScriptedSocket): void {
    const number = this.#count++
    socket.pid = FIRST_PID + number
    socket.server = number % (this.options.servers ?? 1)
    this.#sockets.add(socket)
    this.mostOpen = Math.max(this.mostOpen, this.connections().length)
  }

  leave(socket: ScriptedSocket): void {
    this.#sockets.delete(socket)
  }

  cancel(pid: number, secret: number, server: number): void {
    for (const socket of this.#sockets) if (socket.pid === pid && socket.secret === secret && socket.server === server) socket.cancel()
  }
}

interface Due {
  readonly callback: () => void
  at: number
  timer: unknown
}

/** Timers of the world, which a frozen process does not stop. */
class WorldTime implements Pick<Clock, 'setTimer' | 'clearTimer'> {
  readonly #clock: Clock
  readonly #due = new Set<Due>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  setTimer(callback: () => void, millis: number): Due {
    const due: Due = { callback, at: this.#clock.mono() + millis, timer: undefined }
    this.#due.add(due)
    this.#arm(due, millis)
    return due
  }

  clearTimer(due: unknown): void {
    this.#clock.clearTimer((due as Due).timer)
    this.#due.delete(due as Due)
  }

  elapse(millis: number): void {
    const now = this.#clock.mono()
    const pending = [...this.#due].map((due) => ({ due, left: due.at - now - millis }))
    for (const { due, left } of pending.sort((a, b) => a.left - b.left)) {
      this.#clock.clearTimer(due.timer)
      due.at = now + left
      this.#arm(due, left)
    }
  }

  #arm(due: Due, millis: number): void {
    const run = () => {
      this.#due.delete(due)
      due.callback()
    }
    due.timer = this.#clock.setTimer(run, Math.max(0, millis))
  }
}

/** The client's end, as pg uses it, and what is behind it. */
class ScriptedSocket extends Duplex implements ScriptedConnection {
  readonly #host: Server
  readonly #reader = new RequestReader()
  #session: ScriptedSession | undefined
  #isSilent = false
  #hasLeft = false
  pid = 0
  server = 0
  secret = 0
  /** As net.Socket counts. */
  bytesRead = 0

  constructor(host: Server) {
    super({ allowHalfOpen: false })
    this.#host = host
  }

  get isOpen(): boolean {
    return this.pid !== 0 && !this.#hasLeft && !this.destroyed && !this.writableEnded
  }

  get isBusy(): boolean {
    return this.#session?.isBusy ?? false
  }

  connect(): this {
    this.#host.enter(this)
    this.secret = this.pid * 7
    const { mood } = this.#host
    if (mood === 'deaf') return this
    this.#later(2 * this.#host.latencyMillis, () => {
      if (mood === 'well') this.emit('connect')
      else this.destroy(wireError('ECONNREFUSED', 'connect'))
    })
    return this
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  cancel(): void {
    this.#session?.cancel()
  }

  fault(kind: ScriptedFault): void {
    if (kind === 'silence') {
      this.#isSilent = true
      this.#host.time.setTimer(() => this.destroy(wireError('ETIMEDOUT', 'read')), KEEP_ALIVE_MILLIS)
    } else if (kind === 'terminate' && this.#session) this.#session.terminate()
    else if (kind === 'reset') this.#later(this.#host.latencyMillis, () => this.destroy(wireError('ECONNRESET', 'read')))
    else this.#hangUp()
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    const bytes = Buffer.from(chunk)
    // Terminate: pg closes the socket as soon as this has been written.
    if (bytes.equals(TERMINATE)) this.#leave()
    this.#later(this.#host.latencyMillis, () => {
      for (const request of this.#reader.read(bytes)) this.#receive(request)
    })
    done()
  }

  override _read(): void {}

  override _final(done: (error?: Error | null) => void): void {
    this.#leave()
    this.#later(this.#host.latencyMillis, () => {
      this.#session?.end()
      this.#hangUp()
    })
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#leave()
    done(error)
  }

  #receive(request: Request): void {
    if (request.type !== '') return this.#session?.receive(request)
    const body = new BodyReader(request.body)
    const code = body.int32()
    if (code === SSL_REQUEST) {
      this.#reader.begin(false)
      this.#send(Buffer.from('N'))
    } else if (code === CANCEL_REQUEST) {
      this.#host.cancel(body.int32(), body.int32(), this.server)
      this.#hangUp()
    } else {
      this.#session = new ScriptedSession({
        time: this.#host.time,
        pid: this.pid,
        secret: this.secret,
        send: (bytes) => this.#send(bytes),
        close: () => this.#hangUp(),
        answer: (text, values) => this.#host.options.answer(text, values, this),
      })
    }
  }

  #send(bytes: Buffer): void {
    this.#later(this.#host.latencyMillis, () => {
      this.bytesRead += bytes.length
      if (!this.readableEnded) this.push(bytes)
    })
  }

  #hangUp(): void {
    this.#later(this.#host.latencyMillis, () => {
      this.#leave()
      this.push(null)
    })
  }

  #leave(): void {
    this.#hasLeft = true
    this.#host.leave(this)
  }

  #later(millis: number, callback: () => void): void {
    this.#host.time.setTimer(() => {
      if (!this.destroyed && !this.#isSilent) callback()
    }, millis)
  }
}

function wireError(code: string, syscall: string): Error {
  return Object.assign(new Error(`${syscall} ${code}`), { code, syscall })
}
