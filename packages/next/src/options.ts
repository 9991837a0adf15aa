/** The options of invocations. */

import { type Clock, checkOptions, createLeakReport, type Leak, type OptionRules, systemClock } from '@thaw/core'
import { describeStray, type StrayPool } from './stray-pools.ts'
import { warn } from './warning.ts'

/** Options of `withThaw`. */
export interface ThawOptions {
  /**
   * How long before the host ends the invocation the waits inside must have ended. Default 500: time for the error to pass through your own
   * `catch`, to be logged, and to be sent to a distant client. No effect if the host sets no deadline, as on your own server.
   */
  readonly deadlineMarginMillis?: number | undefined
  /** Called for each client that was not released when its invocation ended. Default: `console.warn`, once per place. */
  readonly onLeak?: ((leak: Leak) => void) | undefined
  /**
   * Called, once per place, for a pool that is created in each request and not ended: its idle connections have been closed. Default:
   * `console.warn`.
   */
  readonly onStrayPool?: ((stray: StrayPool) => void) | undefined
  /** Time. Default: the runtime's own. Inject another to test. */
  readonly clock?: Clock | undefined
}

export interface Settings {
  readonly marginMillis: number
  readonly clock: Clock
  /** Never throws. */
  readonly report: (leaks: readonly Leak[]) => void
  readonly reportStray: (stray: StrayPool) => void
}

const RULES: OptionRules = {
  deadlineMarginMillis: { type: 'number', min: 0 },
  onLeak: { type: 'function' },
  onStrayPool: { type: 'function' },
  clock: { type: 'object' },
}

const MARGIN_MILLIS = 500

/** @throws {OptionError} naming the option, the value and what is allowed. */
export function settingsOf(options: ThawOptions): Settings {
  checkOptions(options, RULES, 'refuse')
  const { deadlineMarginMillis, onLeak, onStrayPool, clock = systemClock } = options
  return {
    marginMillis: Number(deadlineMarginMillis ?? MARGIN_MILLIS),
    clock,
    report: createLeakReport(warn, onLeak),
    reportStray: onStrayPool ?? ((stray) => warn(describeStray(stray))),
  }
}
