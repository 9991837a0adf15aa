/** Statements that the server keeps under a name, on one connection: which error may be the name's fault, and how to be rid of a name. */

import type { EventEmitter } from 'node:events'
import { type PeerClient, type PeerQuery, queuedQueriesOf } from '../driver/peer.ts'

/** What pg keeps on a connection. */
interface Parsed {
  readonly parsedStatements?: Record<string, string | undefined>
  /** Since pg 8.22. */
  readonly submittedNamedStatements?: Record<string, string | undefined>
  close?(what: { readonly type: 'S'; readonly name: string }): void
}

/** Without its name, the statement could succeed: the result is another, the statement is gone, or its parameters are no longer what they were. */
const WRONG_NAME: readonly string[] = ['0A000', '26000', '42P05', '42804', '42883', 'XX000']
/** Such an error may also be about the values. */
const WRONG_PARAMETER: readonly string[] = ['22003', '22007', '22008', '22P02', '22P03', '42846']

/** `perhaps`: it is as likely the caller's own. */
export function mayBeTheName(error: Error): 'likely' | 'perhaps' | 'no' {
  const { code } = error as { readonly code?: unknown }
  if (typeof code !== 'string') return 'no'
  if (WRONG_NAME.includes(code)) return 'likely'
  return WRONG_PARAMETER.includes(code) ? 'perhaps' : 'no'
}

/** The server forgets those that are meant, and so does pg. To close one that does not exist is no error; it is answered with the next statement. */
export function closeNames(connection: object, isMeant: (name: string) => boolean): void {
  const { parsedStatements = {}, submittedNamedStatements } = connection as Parsed
  for (const name of Object.keys(parsedStatements)) {
    if (!isMeant(name)) continue
    delete parsedStatements[name]
    if (submittedNamedStatements) delete submittedNamedStatements[name]
    ;(connection as Parsed).close?.({ type: 'S', name })
    closing.add(connection)
    ;(connection as EventEmitter).once('closeComplete', () => closing.delete(connection))
  }
}

const unbound = new WeakSet<PeerQuery>()

/**
 * A value could not be sent, and pg has told so. Now it would take the answer to what was written for a success, and tell it, too. And where it has the server close
 * the statement, it would take the name for parsed.
 */
export function leaveUnbound(connection: object, query: PeerQuery, isClosed: boolean): void {
  query.callback = () => {}
  if (!isClosed) return
  unbound.add(query)
  const { parsedStatements = {}, submittedNamedStatements = {} } = connection as Parsed
  const { name } = query
  if (typeof name !== 'string') return
  delete parsedStatements[name]
  delete submittedNamedStatements[name]
}

/** Does the server have it under its name, now that it is parsed? */
export function staysParsed(query: PeerQuery | undefined): boolean {
  return !query?.name || !unbound.has(query)
}

/** Connections on which a CloseComplete comes ahead of the next answer. */
const closing = new WeakSet<object>()

/** Would it come to a statement that is not pg's own? A COPY stream takes it for its end. */
export function owesForeign(client: PeerClient): boolean {
  return closing.has(client.connection) && queuedQueriesOf(client)[0]?.requiresPreparation === undefined
}

/** The errors that came before their statement was bound: nothing of it had been executed. */
export class UnboundErrors {
  readonly #errors = new WeakSet<object>()
  readonly #watched = new WeakSet<object>()

  has(error: Error): boolean {
    return this.#errors.has(error)
  }

  /** From now on. */
  watch(connection: EventEmitter): void {
    if (this.#watched.has(connection)) return
    this.#watched.add(connection)
    let isBound = false
    connection.prependListener('bindComplete', () => {
      isBound = true
    })
    // Several may have one ReadyForQuery. Before pg calls the user's code, which may throw.
    for (const end of ['commandComplete', 'emptyQuery', 'readyForQuery'])
      connection.prependListener(end, () => {
        isBound = false
      })
    // Before pg tells its caller.
    connection.prependListener('errorMessage', (error: object) => {
      if (!isBound) this.#errors.add(error)
    })
  }
}
