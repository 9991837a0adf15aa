/** One pool for the whole process, however often the module that makes it is loaded: after each edit under `next dev`, and once more for `instrumentation.ts`. */

import { OptionError, trackedPoolOf } from '@thaw/core'
import { fingerprint } from './fingerprint.ts'
import { isMissing, refuseToDial } from './missing-url.ts'

/** What {@link onePool} can hold: `Pool` of `@thaw/pg`, of `@thaw/neon`, of `pg`. */
export interface AnyPool {
  readonly options: object
}

interface Entry {
  readonly configuration: string
  readonly pool: AnyPool
}

interface Surroundings {
  readonly process?: { readonly env?: Readonly<Record<string, string | undefined>> }
  readonly console?: { warn(message: string): void }
}

const POOLS = Symbol.for('thaw.next')

/** Process-wide: modules come and go, and there are several copies of this one. */
function entriesOf(name: string): Entry[] {
  const holder = globalThis as { [POOLS]?: Map<string, Entry[]> }
  holder[POOLS] ??= new Map()
  const entries = holder[POOLS].get(name) ?? []
  holder[POOLS].set(name, entries)
  return entries
}

/**
 * `new Pool(config)`, but the same pool again each time the module is loaded: `export const pool = onePool(Pool, { connectionString: … })`.
 *
 * Configurations are compared by value; their functions are taken from the most recent call. In development, a changed configuration makes
 * a new pool and retires the old one: it keeps no connection, and code that still holds it gets a new connection for each use. In
 * production nothing changes while the process runs: a second configuration is a second pool.
 *
 * If `connectionString` is given but empty, as when `DATABASE_URL` is not set, and nothing else says where the database is, the first use
 * fails and says so. The call itself does not: `next build` loads modules without any database.
 *
 * @param name - tells pools apart in development. Default `"default"`. Give your second pool a name.
 * @throws {OptionError} if it is not given a class and its configuration. Whatever the class throws passes through.
 */
export function onePool<Config extends object, Pool extends AnyPool>(
  Pool: new (config: Config) => Pool,
  config: Config,
  name: string = 'default',
): Pool {
  if (typeof Pool !== 'function' || typeof config !== 'object' || config === null) throw notAPool()
  const entries = entriesOf(name)
  // Not the class itself: each bundle has its own.
  const configuration = `${Pool.name} ${fingerprint(config)}`
  const known = entries.find((entry) => entry.configuration === configuration)
  if (known && !(known.pool as { ending?: boolean }).ending) {
    Object.assign(known.pool.options, functionsOf(config))
    return known.pool as Pool
  }
  const pool = new Pool(complete(config))
  const { process, console } = globalThis as Surroundings
  const isFinal = process?.env?.['NODE_ENV'] === 'production'
  const outdated = entries.filter((entry) => entry === known || !isFinal)
  if (outdated.some((entry) => entry !== known)) console?.warn(changed(name))
  for (const entry of outdated) {
    entries.splice(entries.indexOf(entry), 1)
    retire(entry.pool)
  }
  entries.push({ configuration, pool })
  return pool
}

/** When the pool needs a password, it should ask the module that is loaded now. */
function functionsOf(config: object): object {
  return Object.fromEntries(Object.entries(config).filter(([, value]) => typeof value === 'function'))
}

/** pg-pool closes a client that has been used this often when it is released. */
function retire(pool: AnyPool): void {
  Object.assign(pool.options, { maxUses: 1 })
  void trackedPoolOf(pool)?.closeIdle()
}

/** With a socket that says what is missing, if nothing says where the database is. */
function complete<Config extends object>(config: Config): Config {
  if (!isMissing(config)) return config
  // Not by copying: hidden properties, such as passwords, would be lost.
  return Object.defineProperties({ stream: refuseToDial } as unknown as Config, Object.getOwnPropertyDescriptors(config))
}

function changed(name: string): string {
  return `Thaw: the configuration of the pool "${name}" has changed, so the old pool is retired. If these are two pools, give each a name: onePool(Pool, config, "reports").`
}

function notAPool(): OptionError {
  return new OptionError({
    option: 'Pool',
    allowed: 'a class and its configuration',
    message: 'onePool() takes the class and its configuration: onePool(Pool, { connectionString: process.env.DATABASE_URL }).',
  })
}
