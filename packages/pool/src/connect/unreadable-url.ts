/** A connection string that pg reads as something else: it then takes what is left of it, perhaps a password, for the name of a database. */

/** A scheme with both slashes, the path of a Unix socket, or pg's `socket:`. All else pg resolves against a host named "base". */
const READABLE = /^(?:[a-z][a-z0-9+.-]*:\/\/|\/|socket:)/i
/** The password's slash ends the host; its @ is in the path. */
const SLASH_IN_PASSWORD = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*\/[^?#]*@/i

/** Can nothing in it be shown? */
export function isUnreadable(connectionString: unknown): boolean {
  return typeof connectionString === 'string' && connectionString !== '' && !READABLE.test(connectionString)
}

/** May a part of the password have been read as the port? */
export function mayShowPassword(connectionString: unknown): boolean {
  return typeof connectionString === 'string' && SLASH_IN_PASSWORD.test(connectionString)
}

/** What to say in place of other advice when such an attempt has failed. Shows nothing of the string. */
export function adviceOnUrl(connectionString: unknown): string | undefined {
  if (isUnreadable(connectionString)) {
    return 'The connection string is not a URL such as postgres://user@host/database. Look for quotes or spaces around it, for something in front of it, and for what is missing of "postgres://".'
  }
  if (!mayShowPassword(connectionString)) return undefined
  return 'In the connection string an @ follows the first slash. If the slash belongs to the password, write %2F in its place.'
}
