/** A bounded wait that stands still while something of the user's own runs: its time says nothing about the server. */

import { type Clock, type Deadline, startDeadline } from '@thaw/core'

export interface Pausable {
  pause(): void
  /** The wait begins anew, with its whole time. */
  resume(): void
}

/** As core's `startDeadline`. Once it has expired, or is cancelled, there is nothing to resume. */
export function startPausable(clock: Clock, millis: number, expire: () => void, background = false): Deadline & Pausable {
  let isOpen = true
  const start = () =>
    startDeadline(
      clock,
      millis,
      () => {
        isOpen = false
        expire()
      },
      background,
    )
  let running = start()
  const stop = () => running.cancel()
  return {
    pause: stop,
    resume() {
      if (!isOpen) return
      stop()
      running = start()
    },
    cancel() {
      isOpen = false
      stop()
    },
  }
}

/**
 * How long an attempt may take: with one host all of the time, with several its host's share. `expire` may be called twice. Undefined: forever.
 */
export function limitAttempt(clock: Clock, wholeMillis: number, hosts: number, expire: () => void): (Deadline & Pausable) | undefined {
  if (!(wholeMillis > 0)) return undefined
  const whole = startDeadline(clock, wholeMillis, expire)
  if (hosts === 1) return { ...whole, pause() {}, resume() {} }
  const share = startPausable(clock, wholeMillis / hosts, expire)
  return {
    ...share,
    cancel() {
      whole.cancel()
      share.cancel()
    },
  }
}
