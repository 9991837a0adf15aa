/** Why a server lets no client in at the moment: it is full, or it is starting up or shutting down. By its code; or by its words, which proxies pass on without the code. */

import { codeOf } from './classify.ts'

/** `full`: too many sessions, of the server, the database or the role. `unready`: it is starting up or shutting down. */
export type ServerRefusal = 'full' | 'unready'

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const CODES: Readonly<Record<string, ServerRefusal>> = { '53300': 'full', '57P03': 'unready' }

/**
 * Internal error: the only code that Neon's proxy has. A refusal of the compute comes as the compute's own message under it (`to_string_client` in
 * proxy/src/compute/mod.rs of neondatabase/neon), and Supavisor puts it behind words of its own (lib/supavisor/errors/auth_query_error.ex).
 */
const INTERNAL = 'XX000'

/** Of PostgreSQL 10 to 18, in English: proc.c, postinit.c, miscinit.c, backend_startup.c and postmaster.c. */
const WORDS: readonly (readonly [ServerRefusal, RegExp])[] = [
  ['full', /too many clients already|remaining connection slots are reserved|too many connections for (role|database) "/],
  [
    'unready',
    /the database system is (starting up|shutting down|in recovery mode|not yet accepting connections|not accepting connections)/,
  ],
]

/** Does the error refuse a login for one of these reasons? Undefined: no. */
export function serverRefusalOf(error: unknown): ServerRefusal | undefined {
  const code = codeOf(error)
  if (code !== INTERNAL) return code === undefined ? undefined : CODES[code]
  const { severity, message } = error as { readonly severity?: unknown; readonly message?: unknown }
  if (severity !== 'FATAL' || typeof message !== 'string') return undefined
  return WORDS.find(([, words]) => words.test(message))?.[0]
}
