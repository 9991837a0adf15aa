/** The options of invocations. */

import {
  type Clock,
  checkOptions,
  createLeakReport,
  type InvocationStorage,
  type Leak,
  OptionError,
  type OptionRules,
  systemClock,
} from '@thaw/core'

/** Options of `withThaw` and `thawMiddleware`. */
export interface ThawOptions {
  /** Called for each client that was not released when its invocation ended. Default: `console.warn`, once per place. */
  readonly onLeak?: ((leak: Leak) => void) | undefined
  /** Time. Default: the runtime's own. Inject another to test. */
  readonly clock?: Clock | undefined
}

export interface Settings {
  /** Never throws: a handler that did its work must not fail because of it. */
  readonly report: (leaks: readonly Leak[]) => void
  readonly clock: Clock
  readonly createStorage: () => InvocationStorage
}

const RULES: OptionRules = { onLeak: { type: 'function' }, clock: { type: 'object' } }

interface Runtime {
  readonly console?: { warn(message: string): void }
  readonly process?: { getBuiltinModule?(name: string): { readonly AsyncLocalStorage: new () => InvocationStorage } | undefined }
}

/** @throws {OptionError} naming the option, the value and what is allowed; or the flag that the Worker needs. */
export function settingsOf(options: ThawOptions): Settings {
  checkOptions(options, RULES, 'refuse')
  const { onLeak, clock = systemClock } = options
  const { console, process } = globalThis as Runtime
  const AsyncLocalStorage = process?.getBuiltinModule?.('node:async_hooks')?.AsyncLocalStorage
  if (!AsyncLocalStorage) throw noStorage()
  return {
    report: createLeakReport((message) => console?.warn(message), onLeak),
    clock,
    createStorage: () => new AsyncLocalStorage(),
  }
}

function noStorage(): OptionError {
  return new OptionError({
    option: 'compatibility_flags',
    allowed: '["nodejs_compat"]',
    message:
      'withThaw() needs AsyncLocalStorage. Write "compatibility_flags": ["nodejs_compat"] in wrangler.jsonc, with a "compatibility_date" of 2024-09-23 or later.',
  })
}
