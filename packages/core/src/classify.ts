/**
 * What the code of a failure means: SQLSTATEs of PostgreSQL, and errnos of the socket layer. Knowledge as data, each row with its source.
 * Messages are never read here: they are translated, and they change.
 */

/** What one code means. */
export interface FailureRow {
  /** SQLSTATE (five characters) or errno name. */
  readonly code: string
  /** In a few words, for people. */
  readonly says: string
  /**
   * As the result of a connection attempt: retry it (`again`, with backoff), ask for the `password` once more because it may have expired,
   * or `fail` at once.
   */
  readonly dial: 'again' | 'password' | 'fail'
  /**
   * It ends the connection on which it arrives, also as the answer to a statement. False for a code with which a statement can fail on a
   * healthy connection, even if it is fatal to a connection attempt.
   */
  readonly ends: boolean
  /** What it says about the other connections to the same server. */
  readonly siblings: 'unharmed' | 'suspect' | 'evict'
  /** Where this is documented. */
  readonly source: string
}

const ERRCODES = 'https://www.postgresql.org/docs/current/errcodes-appendix.html'
const SHUTDOWN = 'https://www.postgresql.org/docs/current/server-shutdown.html'
const TIMEOUTS = 'https://www.postgresql.org/docs/current/runtime-config-client.html'
const CONNECT = 'https://man7.org/linux/man-pages/man2/connect.2.html'
const SEND = 'https://man7.org/linux/man-pages/man2/send.2.html'
const TCP = 'https://man7.org/linux/man-pages/man7/tcp.7.html'
const GETADDRINFO = 'https://man7.org/linux/man-pages/man3/getaddrinfo.3.html'

type Row = readonly [code: string, says: string, dial: FailureRow['dial'], ends: boolean, siblings: FailureRow['siblings'], source: string]

const ROWS: readonly Row[] = [
  ['EAI_AGAIN', 'the name server did not answer', 'again', false, 'unharmed', GETADDRINFO],
  ['ENOTFOUND', 'the name server does not know the host', 'again', false, 'unharmed', GETADDRINFO],
  ['ECONNREFUSED', 'nothing listens at that address', 'again', true, 'suspect', CONNECT],
  ['ECONNRESET', 'the other end has forgotten the connection', 'again', true, 'suspect', SEND],
  ['ECONNABORTED', 'the connection was aborted', 'again', true, 'suspect', CONNECT],
  ['EPIPE', 'the connection was already closed', 'again', true, 'suspect', SEND],
  ['ETIMEDOUT', 'the other end does not answer', 'again', true, 'suspect', TCP],
  ['EHOSTUNREACH', 'no route to the host', 'again', true, 'suspect', CONNECT],
  ['EHOSTDOWN', 'the host is down', 'again', true, 'suspect', CONNECT],
  ['ENETUNREACH', 'no route to the network', 'again', true, 'suspect', CONNECT],
  ['ENETDOWN', 'the network is down', 'again', true, 'suspect', CONNECT],
  ['08000', 'connection exception', 'again', true, 'suspect', ERRCODES],
  ['08001', 'a proxy could not reach the server', 'again', true, 'suspect', ERRCODES],
  ['08003', 'the connection does not exist', 'again', true, 'suspect', ERRCODES],
  ['08006', 'connection failure', 'again', true, 'suspect', ERRCODES],
  ['25P03', 'idle in a transaction for too long', 'fail', true, 'unharmed', TIMEOUTS],
  ['25P04', 'a transaction took too long', 'fail', true, 'unharmed', TIMEOUTS],
  ['28000', 'this user may not log in', 'fail', true, 'unharmed', ERRCODES],
  ['28P01', 'wrong password', 'password', true, 'unharmed', ERRCODES],
  ['3D000', 'no such database', 'fail', true, 'unharmed', ERRCODES],
  ['53300', 'too many connections', 'again', true, 'unharmed', ERRCODES],
  ['57P01', 'ended by an administrator', 'again', true, 'suspect', SHUTDOWN],
  ['57P02', 'ended by a crash of the server', 'again', true, 'evict', SHUTDOWN],
  ['57P03', 'the server is starting up or shutting down', 'again', true, 'suspect', SHUTDOWN],
  ['57P05', 'idle for too long', 'again', true, 'unharmed', TIMEOUTS],
]

/** Every code that Thaw knows. A code that is not listed answers a statement, and concerns only that statement's caller. */
export const FAILURES: ReadonlyMap<string, FailureRow> = new Map(
  ROWS.map(([code, says, dial, ends, siblings, source]) => [code, { code, says, dial, ends, siblings, source }]),
)

/** The `code` that an error carries, wherever it comes from. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  try {
    const { code } = error as { readonly code?: unknown }
    return typeof code === 'string' ? code : undefined
  } catch {
    // A getter of the caller's, or a proxy: what it throws must not replace the error that is being looked at.
    return undefined
  }
}

/** What the error's code says, if Thaw knows it. */
export function classify(error: unknown): FailureRow | undefined {
  const code = codeOf(error)
  return code === undefined ? undefined : FAILURES.get(code)
}
