/**
 * Time behind a test's fake timers, where those were in place before Thaw was loaded: a set-up file fakes them, and the code under test is imported later. They stand still until the
 * test moves them, and the server does not wait for that.
 */

import { ownRealm } from './unmasked.ts'

interface Alarm {
  setTimeout(millis: number, callback?: () => void): unknown
}

interface RealTime {
  readonly wall: () => number
  readonly mono: () => number
  readonly setTimeout: (callback: () => void, millis: number) => { unref?(): void }
  readonly clearTimeout: (timer: unknown) => void
  readonly setImmediate: (callback: () => void) => unknown
}

interface Process {
  uptime(): number
  getBuiltinModule?(name: 'node:net'): { readonly Socket: new () => Alarm } | undefined
}

/** Fakes have Sinon's `clock` on them, and so have those of vitest and Jest. Jest's former ones are mocks; those of `node:test` are bound functions, which the runtime's own are not. */
export function isFake(timer: object): boolean {
  return Object.hasOwn(timer, 'clock') || '_isMockFunction' in timer || (timer as { readonly name: string }).name.startsWith('bound ')
}

/** Undefined: the timers are the runtime's own, or there is nothing behind them that could be used instead. */
export function timeBehindFakes({
  setTimeout,
  process,
}: {
  readonly setTimeout: unknown
  readonly process?: Process | undefined
}): RealTime | undefined {
  const realm = typeof setTimeout === 'function' && isFake(setTimeout) ? ownRealm() : undefined
  const Socket = realm && process?.getBuiltinModule?.('node:net')?.Socket
  if (!process || !Socket) return undefined
  // A socket's timer is none of those that are faked. It does not keep the process alive; the socket of a database does.
  const start = (callback: () => void, millis: number): Alarm => {
    const alarm = new Socket()
    alarm.setTimeout(Math.max(1, millis), callback)
    return alarm
  }
  return {
    wall: realm.now,
    mono: () => process.uptime() * 1000,
    setTimeout: (callback, millis) => start(callback, millis) as Alarm & { unref?(): void },
    clearTimeout: (timer) => (timer as Alarm | undefined)?.setTimeout(0),
    // The first may be due before the sockets have been looked at.
    setImmediate: (callback) => start(() => start(callback, 1), 1),
  }
}
