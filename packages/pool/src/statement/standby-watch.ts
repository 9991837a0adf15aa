/** Has the primary become a standby, or, where others can write, been set to be read-only? Asked when a write was refused as read-only, and remembered when it was found. */

import { codeOf, foundStandby, mayLookUpAgain, read, type StandbyFound } from '@thaw/core'
import type pg from 'pg'
import { doubtReports, hasOtherWriters } from '../connect/host-facts.ts'
import { type Answer, sendUnseen } from '../connection/unseen.ts'
import { isBroken, READ_ONLY } from '../connection/vitals.ts'
import { isSubmittable, type PeerClient } from '../driver/peer.ts'
import type { Call } from './call.ts'
import type { PoolQueryHost } from './pool-query-host.ts'

const IN_RECOVERY = 'SELECT pg_is_in_recovery() AS standby'
/** Not what the session itself has set: that is the user's own. */
const OR_READ_ONLY = `SELECT pg_is_in_recovery() OR EXISTS (
  SELECT FROM pg_catalog.pg_settings WHERE name = 'default_transaction_read_only' AND setting = 'on' AND source <> 'session'
) AS standby`

/** Its answer takes no time. */
const ASK_MILLIS = 3_000

type StandbyHost = Pick<PoolQueryHost, 'settings' | 'checks' | 'isEnding'>

export class StandbyWatch {
  readonly #host: StandbyHost
  #found: StandbyFound | undefined

  constructor(host: StandbyHost) {
    this.#host = host
  }

  /** A statement that a standby refused has been answered elsewhere. */
  forget(): void {
    this.#found = undefined
  }

  /** Is it worth to ask? */
  mayBe({ text, wasRefused, secondTry }: Call, client: PeerClient, error: Error): boolean {
    if (codeOf(error) !== READ_ONLY || wasRefused || secondTry?.how === 'inside READ ONLY') return false
    return !isSubmittable(text) && this.#isWorthAsking(client)
  }

  /** A caller who was refused has released the client, which may have been a transaction's: the next callers are to find the primary. */
  released(client: PeerClient): void {
    this.#host.checks.vitalsOf(client).refusedWrite = false
    // Asked behind what is under way: the end of the refused statement may not have arrived.
    if (!this.#isOutdated(client) && this.#isWorthAsking(client)) this.ask(client, () => {})
  }

  /**
   * A transaction that the server refused a write is rolled back, and its client about to be released: was that a standby, so that another connection may lead to the primary? Not asked
   * again so soon after one was found.
   */
  isStandby(client: PeerClient): Promise<boolean> {
    return new Promise((resolve) => {
      if (this.#isWorthAsking(client)) this.ask(client, resolve)
      else resolve(false)
    })
  }

  #isWorthAsking(client: PeerClient): boolean {
    const { checks, settings } = this.#host
    if (this.#host.isEnding() || isBroken(client) || checks.vitalsOf(client).status !== 'I') return false
    return this.#isOutdated(client) || mayLookUpAgain(this.#found, read(settings.clock))
  }

  ask(client: PeerClient, told: (isStandby: boolean, hasAnswered: boolean) => void): void {
    this.#host.checks.vitalsOf(client).refusedWrite = false
    const answered = (unanswered: Error | null, answer: pg.QueryResult<{ standby: boolean }>) => {
      const isStandby = !unanswered && answer.rows[0]?.standby === true
      if (isStandby && !this.#isOutdated(client)) {
        this.#host.checks.condemnAll()
        doubtReports(client)
        this.#found = foundStandby(this.#found, read(this.#host.settings.clock))
      }
      told(isStandby, !unanswered)
    }
    // As the login judges it, see `session-kind.ts`.
    const text = hasOtherWriters(client) ? OR_READ_ONLY : IN_RECOVERY
    sendUnseen(client, { text, query_timeout: ASK_MILLIS }, undefined, answered as Answer)
  }

  /** Has another statement detected before, on a connection of the same generation? */
  #isOutdated(client: PeerClient): boolean {
    return this.#host.checks.vitalsOf(client).generation < this.#host.checks.generation
  }
}
