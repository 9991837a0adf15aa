/** What can be said about invocations. */

import { type Clock, checkOptions, createLeakReport, type Leak, type OptionRules, systemClock } from '@thaw/core'

/** How `withThaw` and `thawMiddleware` work. */
export interface ThawOptions {
  /**
   * How long before Lambda's timeout the waits inside must have ended. Default 200: time for the error to pass through your own `catch`, to be logged,
   * and to be posted as the answer. Lambda's timeout itself answers with nothing, and ends the process.
   */
  readonly deadlineMarginMillis?: number | undefined
  /** Told of each client that was not released when its invocation ended. Default: `console.warn`, once for each place. */
  readonly onLeak?: ((leak: Leak) => void) | undefined
  /** Time. Default: the runtime's own. Inject another to test. */
  readonly clock?: Clock | undefined
}

export interface Settings {
  readonly marginMillis: number
  readonly clock: Clock
  /** Never throws: a handler that did its work must not fail for it. */
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
