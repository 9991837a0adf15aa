/** Where a pool on Workers gets its options from: a URL, an object, a binding, or a function of the bindings. Evaluated anew in each request. */

import { OptionError } from '@thaw/core'
import type { PoolConfig as PgPoolConfig } from 'pg'
import type { ThawOptions } from '../options/options.ts'

/** A Hyperdrive binding, or anything else that has a connection string. Not to be read before there is a request. */
export interface ConnectionBinding {
  readonly connectionString: string
}

type PoolConfig = PgPoolConfig & ThawOptions

/** What a pool is made from. */
export type Source = string | ConnectionBinding | PoolConfig

/** As {@link Source}, when it is known only where the bindings are. */
export type SourceFunction<Env> = (env: Env) => Source | undefined

/** What is known before there is a request: the options of a plain object. */
export function knownOptions(source: Source | SourceFunction<never>): PoolConfig {
  return typeof source === 'object' && !isBinding(source) ? source : {}
}

/**
 * The options for the request that runs now.
 *
 * @throws {OptionError} if there is nothing to connect to.
 */
export function optionsFrom(source: Source | SourceFunction<never>, bindings: object): PoolConfig {
  const found: unknown = typeof source === 'function' ? source(bindings as never) : source
  if (typeof found === 'string' && found !== '') return { connectionString: found }
  if (typeof found !== 'object' || found === null || 'then' in found) throw nothingFound(found, bindings)
  // Whatever its host is called: see hyperdrive.ts. To override this, pass options.
  if (isBinding(found)) return { connectionString: found.connectionString, piggybackProbe: false }
  if ('connectionString' in found && !found.connectionString) throw nothingFound(found.connectionString, bindings)
  return found
}

/** A Hyperdrive binding can also connect by itself. No property may be read to find out. */
function isBinding(value: object): value is ConnectionBinding {
  return 'connectionString' in value && 'connect' in value
}

function nothingFound(found: unknown, bindings: object): OptionError {
  const names = Object.keys(bindings)
  const there = names.length === 0 ? 'no bindings' : `the bindings ${names.join(', ')}`
  const isPromise = typeof (found as { then?: unknown } | null | undefined)?.then === 'function'
  return new OptionError({
    option: 'connectionString',
    allowed: 'a connection string, options, or a Hyperdrive binding',
    message: isPromise
      ? 'The function passed to new Pool() returned a promise. If a password has to be awaited, make it a function: new Pool((env) => ({ host, user, database, password: () => env.SECRET.get() })).'
      : `There is nothing to connect to: new Pool() received ${found === '' ? 'an empty string' : String(found)}. This Worker has ${there}. Is the binding that you read among "hyperdrive", "vars" or the secrets in wrangler.jsonc, for the environment that you deploy?`,
  })
}
