/** The options that say where the database is: what is impossible, and what is not heard of because it has another name. */

import { environment, OptionError, type OptionRule } from '@thaw/core'

const MOST_PORT = 65_535

/** As node-postgres reads it: what is falsy is its default. A list is for several hosts, see `planHosts`. */
export const PORT: OptionRule = {
  type: 'other',
  allowed: `a number from 1 to ${MOST_PORT}`,
  accepts: (value) => !value || Array.isArray(value) || (typeof value === 'string' && value.includes(',')) || isPort(value),
}

/** node-postgres would end in a TypeError about `charAt`. */
export const CONNECTION_STRING: OptionRule = {
  type: 'other',
  allowed: 'a string, such as postgres://user@host/database (of a URL object, its href)',
  accepts: (value) => !value || typeof value === 'string',
}

function isPort(value: unknown): boolean {
  const port = typeof value === 'string' ? Number.parseInt(value, 10) : value
  return typeof port === 'number' && port >= 1 && port <= MOST_PORT
}

/** Of node-postgres' options, those that say where. With one of them it finds its way, whatever else is there. */
const KNOWN = ['connectionString', 'host', 'port', 'user', 'database', 'stream']
const URL_OF_POSTGRES = /^postgres(?:ql)?:\/\//i
/** What other libraries call it. */
const NAMES_OF_A_URL = /^(?:(?:connection|database|db|pg|postgres(?:ql)?)[_-]?)?(?:url|uri|dsn)$/i

/** @throws {OptionError} where a URL has a name that node-postgres does not know, and nothing else says where: it would connect to this machine. */
export function refuseMisplacedUrl(config: object): void {
  const given = config as Readonly<Record<string, unknown>>
  if (KNOWN.some((name) => given[name]) || environment()['PGHOST']) return
  const option = Object.keys(given).find((name) => name !== 'password' && URL_OF_POSTGRES.test(String(given[name])))
  if (option === undefined) return
  throw new OptionError({
    option,
    allowed: 'connectionString',
    message: `There is no option "${option}". What it holds is a URL of PostgreSQL: write it as new Pool({ connectionString: … }).`,
  })
}

/** The name of an option that was meant to say where. Its value may be missing. */
export function misplacedUrl(config: object): string | undefined {
  return Object.keys(config).find((name) => NAMES_OF_A_URL.test(name))
}
