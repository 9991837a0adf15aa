/** Is it the URL of a database? People also paste the console's psql command, another scheme, or nothing at all. */

import { named, OptionError } from '@thaw/core'

const ALLOWED = 'postgresql://user:password@host/database'
const MISSING = `There is no connection string. Set DATABASE_URL (${ALLOWED}) for this process, and pass it on: as process.env.DATABASE_URL, or on Cloudflare as env.DATABASE_URL.`

/** What is wrong with it, in words that show nothing of it but its scheme. */
function complaint(value: unknown): string | undefined {
  if (typeof value !== 'string') return `is ${named(value)}`
  if (/^\s*psql\s/.test(value)) return 'is a psql command: take the URL out of its quotes'
  if (/^\s|\s$|^['"]/.test(value)) return 'has quotes or spaces around it'
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(value)?.[1]
  if (scheme === undefined) return `is a string of ${value.length} characters, and no URL`
  if (!/^postgres(ql)?$/.test(scheme)) return `begins with "${scheme}:"`
  if (!URL.canParse(value)) return 'is a URL that cannot be read: are all special characters of the password percent-encoded?'
  return undefined
}

/**
 * Checks what was given. `undefined` and `null` pass: the value may come later, or from the environment.
 *
 * @throws {OptionError} naming what is wrong and the fix, but nothing of the value.
 */
export function checkConnectionString(value: unknown): void {
  if (value === undefined || value === null) return
  const wrong = value === '' ? 'is empty: is DATABASE_URL set for this process?' : complaint(value)
  if (wrong === undefined) return
  const end = wrong.endsWith('?') ? '' : '.'
  throw new OptionError({
    option: 'connectionString',
    allowed: ALLOWED,
    message: `Option "connectionString" ${wrong}${end} Write ${ALLOWED}.`,
  })
}

/** For HTTP, which needs every part in the URL, unless options give them. */
export function checkParts(value: string): void {
  const { username, hostname, pathname } = new URL(value)
  const missing = [!username && 'user', !hostname && 'host', pathname.length < 2 && 'database'].filter(Boolean).join(' and ')
  if (!missing) return
  throw new OptionError({
    option: 'connectionString',
    allowed: ALLOWED,
    message: `Option "connectionString" has no ${missing}. Write ${ALLOWED}.`,
  })
}

/** Nothing says where the database is. */
export function missingConnectionString(): OptionError {
  return new OptionError({ option: 'connectionString', allowed: ALLOWED, message: MISSING })
}
