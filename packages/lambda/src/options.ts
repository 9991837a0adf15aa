/** The options of invocations. */

import { type Clock, checkOptions, createLeakReport, type Leak, type OptionRules, systemClock } from '@thaw/core'

/** Options of `withThaw` and `thawMiddleware`. */
export interface ThawOptions {
  /**
   * How long before Lambda's timeout the waits inside must have ended. Default 200: time for the error to pass through your own `catch`, to
   * be logged, and to be sent as the response. Lambda's own timeout sends no response, and ends the process.
   */
  readonly deadlineMarginMillis?: number | undefined
  /** Called for each client that was not released when its invocation ended. Default: `console.warn`, once per place. */
  readonly onLeak?: ((leak: Leak) => void) | undefined
  /** Time. Default: the runtime's own. Inject another to test. */
  readonly clock?: Clock | undefined
}

export interface Settings {
  readonly marginMillis: number
  readonly clock: Clock
  /** Never throws: a handler that did its work must not fail because of it. */
  readonly report: (leaks: readonly Leak[]) => void
}

const RULES: OptionRules = {
  deadlineMarginMillis: { type: 'number', min: 0 },
  onLeak: { type: 'function' },
  clock: { type: 'object' },
}

const MARGIN_MILLIS = 200

/** @throws {OptionError} naming the option, the value and what is allowed. */
export function settingsOf(options: ThawOptions): Settings {
  checkOptions(options, RULES, 'refuse')
  const { deadlineMarginMillis, onLeak, clock = systemClock } = options
  return {
    marginMillis: Number(deadlineMarginMillis ?? MARGIN_MILLIS),
    clock,
    report: createLeakReport((message) => console.warn(message), onLeak),
  }
}
