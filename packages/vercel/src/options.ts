/** The options of invocations. */

import { type Clock, checkOptions, createLeakReport, type InvocationStorage, type Leak, type OptionRules, systemClock } from '@thaw/core'
import { storageMaker } from './storage.ts'

/** Options of `withThaw`. */
export interface ThawOptions {
  /**
   * How long before Vercel ends the invocation the waits inside must have ended. Default 500: time for the error to pass through your own
   * `catch`, to be logged, and to be sent to a distant client. Vercel's own response is a 504 without anything of yours.
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
  /** Never throws. */
  readonly report: (leaks: readonly Leak[]) => void
  readonly createStorage: () => InvocationStorage
}

const RULES: OptionRules = { deadlineMarginMillis: { type: 'number', min: 0 }, onLeak: { type: 'function' }, clock: { type: 'object' } }

const MARGIN_MILLIS = 500

/** @throws {OptionError} naming the option, the value and what is allowed. */
export function settingsOf(options: ThawOptions): Settings {
  checkOptions(options, RULES, 'refuse')
  const { deadlineMarginMillis, onLeak, clock = systemClock } = options
  const { console } = globalThis as { console?: { warn(message: string): void } }
  return {
    marginMillis: Number(deadlineMarginMillis ?? MARGIN_MILLIS),
    clock,
    report: createLeakReport((message) => console?.warn(message), onLeak),
    createStorage: storageMaker(),
  }
}
