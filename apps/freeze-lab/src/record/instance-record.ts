/** What only the instance itself can see: when it opened connections, when it noticed that a socket was dead, what its pool decided. */

import { Socket } from 'node:net'
import { sharedMillis } from './shared-clock.ts'

/** A socket of the instance. Times are on the shared clock. */
export interface SocketRecord {
  readonly dialledAtMillis: number
  /** `undefined`: it never stood. */
  connectedAtMillis?: number
  /** When the instance was told that it is closed, or closed it. `undefined`: it still holds it. */
  closedAtMillis?: number
  /** Its port on the instance's side, by which the proxy knows it too. */
  port?: number
  /** The code of the error that ended it. */
  code?: string
}

/** Something that a pool told its subscribers, with the plain fields of the event. */
export interface DecisionRecord {
  readonly atMillis: number
  readonly type: string
  readonly fields: Readonly<Record<string, string | number | boolean>>
}

/** An uncaught error. */
export interface CrashRecord {
  readonly atMillis: number
  readonly message: string
}

/** Everything that an instance has recorded. */
export interface InstanceRecord {
  readonly sockets: readonly SocketRecord[]
  readonly decisions: readonly DecisionRecord[]
  readonly crashes: readonly CrashRecord[]
  /** When lookups of the database's name began to fail, and when they worked again. */
  readonly nameless: readonly { readonly fromMillis: number; toMillis?: number }[]
}

/** Takes notes inside an instance. */
export interface InstanceRecorder {
  readonly record: InstanceRecord
  /** Notes an event of a pool. */
  decided(event: { readonly type: string }): void
  /** Notes that lookups fail from now on, or no longer. */
  namesFail(isFailing: boolean): void
}

/**
 * Begins to take notes, in the same way for every driver. Call it before the first pool is made. It only looks: it adds no
 * listener for `error`, which would save a process that is about to crash.
 */
export function recordInstance(): InstanceRecorder {
  const sockets: SocketRecord[] = []
  const decisions: DecisionRecord[] = []
  const crashes: CrashRecord[] = []
  const nameless: { fromMillis: number; toMillis?: number }[] = []
  watchSockets(sockets)
  const crashed = (thrown: unknown): void => {
    crashes.push({ atMillis: sharedMillis(), message: thrown instanceof Error ? thrown.message : String(thrown) })
  }
  process.on('uncaughtExceptionMonitor', crashed)
  process.on('unhandledRejection', crashed)
  return {
    record: { sockets, decisions, crashes, nameless },
    decided({ type, ...fields }) {
      decisions.push({ atMillis: sharedMillis(), type, fields: plainFields(fields) })
    },
    namesFail(isFailing) {
      const last = nameless.at(-1)
      if (isFailing) nameless.push({ fromMillis: sharedMillis() })
      else if (last && last.toMillis === undefined) last.toMillis = sharedMillis()
    },
  }
}

function watchSockets(sockets: SocketRecord[]): void {
  const { connect } = Socket.prototype
  Socket.prototype.connect = function (this: Socket, ...args: unknown[]): Socket {
    const socket: SocketRecord = { dialledAtMillis: sharedMillis() }
    sockets.push(socket)
    this.once('connect', () => {
      socket.connectedAtMillis = sharedMillis()
      if (this.localPort !== undefined) socket.port = this.localPort
    })
    this.once('close', () => {
      socket.closedAtMillis = sharedMillis()
      const { code } = (this.errored ?? {}) as { code?: unknown }
      if (typeof code === 'string') socket.code = code
    })
    return Reflect.apply(connect, this, args)
  }
}

// An event of tomorrow may carry more than fits on a line: an error becomes its message, anything else its JSON.
function plainFields(fields: Readonly<Record<string, unknown>>): Record<string, string | number | boolean> {
  const plain: Record<string, string | number | boolean> = {}
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') plain[name] = value
    else if (value instanceof Error) plain[name] = value.message
    else if (value !== undefined) plain[name] = JSON.stringify(value) ?? typeof value
  }
  return plain
}
