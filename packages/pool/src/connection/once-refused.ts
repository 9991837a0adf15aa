/** `once` and `idempotencyKey` are for `pool.query()`: on a client, which may be inside a transaction, they would promise what cannot be kept. */

import { OptionError, ScopeError } from '@thaw/core'
import { refusesNames } from '../options/query-config.ts'

/**
 * Is a key promised? Also by one that is `undefined`: its caller's variable is missing, and the statement must not be sent without a key in silence. `false`: none, on purpose.
 */
export function hasKey(config: object): boolean {
  return 'idempotencyKey' in config && config.idempotencyKey !== false
}

/** Why a client does not send it. Undefined: it has neither of them, nor a name that is nearly one of ours. */
export function refusesOnce(config: object): OptionError | undefined {
  const { once } = config as { readonly once?: unknown }
  if (!once && !hasKey(config)) return refusesNames(config)
  const option = once ? 'once' : 'idempotencyKey'
  return new OptionError({
    option,
    allowed: 'with pool.query() and pool.batch()',
    message: `Option "${option}" was given to a statement on a client. What is part of a transaction is stored with it or not at all: use pool.transaction(), or pool.query() for this statement alone.`,
  })
}

/** Nothing of the connection: it was asked for what may not be. */
export function isRefusal(error: Error): boolean {
  return error instanceof ScopeError || error instanceof OptionError
}
