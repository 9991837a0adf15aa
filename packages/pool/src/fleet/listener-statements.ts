/** Statements that listeners of `connect` send. Each new connection gets them again, so they are no session state that could be lost. */

import type { Vitals } from '../connection/vitals.ts'
import { isListener, runListeners } from '../driver/listener-context.ts'
import { activeQueryOf, type PeerClient, queuedQueriesOf } from '../driver/peer.ts'

export class ListenerStatements {
  readonly #statements = new WeakSet<object>()
  readonly #note = (query: object): void => void this.#statements.add(query)

  /** Calls the listeners. What they send is theirs, whenever it is answered. */
  listen(client: PeerClient, call: () => void): void {
    runListeners(client, call)
    const active = activeQueryOf(client)
    if (active) this.#note(active)
    for (const query of queuedQueriesOf(client)) this.#note(query)
  }

  /** A statement is about to be sent. Undefined: not by a listener. Otherwise it is to be called with it. */
  of(client: PeerClient): ((query: object) => void) | undefined {
    return isListener(client) ? this.#note : undefined
  }

  /** Is it one of theirs that is being answered? */
  isBeingAnswered(client: PeerClient, { state }: Vitals): boolean {
    const active = activeQueryOf(client)
    return state === 'connecting' || (active !== undefined && this.#statements.has(active))
  }
}
