/** Does a text of the user's begin or end the transaction? That is refused before it is sent. Where no one can tell by the text, the server does by the tags of its answers. */

import { controlsTransaction, mayEndTransaction, type Statement, TransactionUseError } from '@thaw/core'
import { activeQueryOf, type PeerClient, textOf } from '../driver/peer.ts'
import { connectionOf } from '../driver/socket.ts'
import { vitalsOf } from './backend.ts'
import { BY_HAND, ENDED_BY_HAND } from './refused-use.ts'

/** A savepoint of the user's own is left alone. */
const SAVEPOINTS = /^\s*(?:savepoint|release|rollback\s+(?:work\s+|transaction\s+)?to|set)\b/i
const ENDS = /^(?:COMMIT|PREPARE TRANSACTION|ROLLBACK)$/

export class ByHand {
  readonly #client: PeerClient
  #isWatching = false
  #ended: Error | undefined

  /** Before that, what begins it is ours. */
  readonly #hasBegun: () => boolean

  constructor(client: PeerClient, hasBegun: () => boolean) {
    this.#client = client
    this.#hasBegun = hasBegun
  }

  /** One of its texts has: what it did until then may be stored, so it is not run again. */
  get ended(): Error | undefined {
    return this.#ended
  }

  /** Why the text must not be sent. */
  refusal({ kind, mayCommit }: Pick<Statement, 'kind' | 'mayCommit'>, text: string): TransactionUseError | undefined {
    const isEnd = kind === 'transaction' && (mayCommit || !SAVEPOINTS.test(text))
    if (isEnd || (kind === 'unknown' && this.#isUnfit(text))) return new TransactionUseError({ message: BY_HAND })
    return undefined
  }

  #isUnfit(text: string): boolean {
    const { hasStandardStrings } = vitalsOf(this.#client) ?? {}
    if (controlsTransaction(text, hasStandardStrings)) return true
    if (mayEndTransaction(text, hasStandardStrings)) this.#watch()
    return false
  }

  #watch(): void {
    if (this.#isWatching) return
    this.#isWatching = true
    connectionOf(this.#client)?.on('commandComplete', this.#note)
  }

  readonly #note = ({ text }: { readonly text: string }): void => {
    if (!this.#hasBegun() || !ENDS.test(text)) return
    // ROLLBACK TO has the same tag.
    const active = activeQueryOf(this.#client)
    const sent = active && textOf(active)
    if (typeof sent === 'string' && !mayEndTransaction(sent, vitalsOf(this.#client)?.hasStandardStrings)) return
    this.#ended ??= new TransactionUseError({ message: ENDED_BY_HAND })
  }

  /** What is sent from now on is ours. */
  stop(): void {
    if (this.#isWatching) connectionOf(this.#client)?.off('commandComplete', this.#note)
  }
}
