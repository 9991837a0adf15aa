/**
 * A watched Client of a pool in a fleet: replies to the pool's own statements are removed before pg sees them. A class of its own, so that
 * the rows of other pools do not pass through it.
 */

import { type Deadline, mayEndSession, startDeadline } from '@thaw/core'
import { SYNC } from '../connection/extended-query.ts'
import type { OwnStatement } from '../connection/own-statement.ts'
import { isWatched, VITALS, type Vitals } from '../connection/vitals.ts'
import { activeQueryOf, type PeerClient, type PeerClientBase, type PeerQuery, queuedQueriesOf, type ReadyMessage } from '../driver/peer.ts'
import type { Settings } from '../options/options.ts'
import { pipelined } from './fleet-options.ts'
import { silent, unanswered } from './given-up.ts'

type WatchedClass = new (...values: unknown[]) => PeerClientBase

/** What a member's client reports to its fleet. */
export interface MemberHost {
  /** A client has been created. Before its first byte. */
  made(client: object): void
  /** The server has told the session's `application_name`: at login, and whenever it has changed. */
  told(client: PeerClient, vitals: Vitals | undefined, name: string): void
  /** The server is ready for the next statement, whosever the one before was. */
  ready(client: PeerClient, vitals: Vitals): void
  /** A statement of a caller has ended, or the login. */
  ended(client: PeerClient, vitals: Vitals, message: ReadyMessage): void
  /** May a statement be sent behind one of the pool's own that has not been answered? Some poolers drop it. */
  mayFollow(client: PeerClient): boolean
}

/**
 * Extends the class. A factory of something else is left as it is: we cannot send anything on what it makes.
 *
 * @param settings what bounds the wait for one of the pool's own statements: `probeTimeoutMillis`, as for any other small question.
 */
export function memberClient(
  Client: object,
  host: MemberHost,
  { clock, probeTimeoutMillis }: Pick<Settings, 'clock' | 'probeTimeoutMillis'>,
): object {
  const prototype = (Client as { prototype?: object }).prototype
  if (!prototype || !isWatched(prototype)) return Client
  const Base = Client as WatchedClass
  return class Client extends Base {
    // Survives minifiers: ORMs look at class names. Not a field: webpack's minifier turns it into an assignment, which throws.
    static override get name(): string {
      return (Base as { name: string }).name
    }

    /** Statements wait until one of the pool's own is answered: how long they do. */
    #patience: Deadline | undefined
    /** The statement behind which a Sync was sent, to see whether a pooler still answers it. And has the one that is under way now been answered? */
    #doubted: PeerQuery | undefined
    #isAnswered = false
    /** So many of the pool's own statements are answered before that one. Those that are sent later are answered behind the Sync. */
    #ahead = 0

    constructor(...values: unknown[]) {
      super(...values)
      // Its class may have chosen it.
      if (this.pipeline) throw pipelined()
      host.made(this)
      this.connection?.on('parameterStatus', ({ parameterName, parameterValue }: Setting) => {
        if (parameterName === 'application_name') host.told(this as unknown as PeerClient, vitalsOf(this), parameterValue)
      })
    }

    /** What the server answers now, if it is a statement of the pool's own: neither a probe is due before it, nor what has been doubted. */
    get #own(): OwnStatement | undefined {
      const vitals = vitalsOf(this)
      return vitals && !isProbesTurn(vitals) && !this.#isDoubtsTurn ? vitals.own?.[0] : undefined
    }

    /** Is the next answer that to the doubted statement, or to the Sync behind it? */
    get #isDoubtsTurn(): boolean {
      return this.#doubted !== undefined && this.#ahead === 0
    }

    override _pulseQueryQueue(): void {
      const own = vitalsOf(this)?.own?.[0]
      const next = queuedQueriesOf(this)[0]
      // With nothing queued, pg says that the client is free (`drain`), which a release may wait for. One that reads from the socket by itself, such as COPY,
      // would read our answers, too.
      if (!own || !next || (isPlain(next) && host.mayFollow(this as unknown as PeerClient))) super._pulseQueryQueue()
      else this.#patience ??= startDeadline(clock, probeTimeoutMillis, () => this.#gaveUp(own), true)
    }

    /** The connection has fallen silent, and nothing else watches it: no statement is under way. Those that wait have not been sent. */
    #gaveUp(own: OwnStatement): void {
      this.#patience = undefined
      if (vitalsOf(this)?.own?.[0] !== own || activeQueryOf(this) || queuedQueriesOf(this).length === 0) return
      const lost = silent(probeTimeoutMillis)
      this._errorAllQueries(lost)
      this.connection.stream.destroy(lost)
    }

    override _handleParseComplete(message: object): void {
      if (!this.#own) super._handleParseComplete(message)
    }

    override _handleDataRow(message: { readonly fields: readonly unknown[] }): void {
      const own = this.#own
      if (own) own.took(message.fields)
      else super._handleDataRow(message)
    }

    override _handleCommandComplete(message: { text: string }): void {
      if (this.#own) return
      this.#isAnswered = true
      super._handleCommandComplete(message)
    }

    override _handleEmptyQuery(message: object): void {
      this.#isAnswered = true
      super._handleEmptyQuery(message)
    }

    override _handleErrorMessage(message: Error): void {
      const own = this.#own
      // What ends the session is no reply to it.
      if (own && !mayEndSession(message)) return own.failed(message)
      this.#isAnswered = true
      super._handleErrorMessage(message)
    }

    /**
     * A pooler has answered where PostgreSQL was expected. To some, a transaction ends with the Sync in front of the statement: they drop what follows in the same write, or let it run and
     * lose its answer. What is sent now is answered behind the statement, or instead of it.
     */
    #doubt(vitals: Vitals): void {
      this.#doubted = activeQueryOf(this)
      this.#ahead = vitals.own?.length ?? 0
      if (this.#doubted) this.connection.stream.write(SYNC)
    }

    /** It is the answer to that Sync: whatever ends a statement says so first. */
    #resolve(vitals: Vitals): void {
      const isLost = this.#doubted === activeQueryOf(this)
      this.#doubted = undefined
      if (!isLost) return
      vitals.sending.isAstray = true
      this.connection.stream.destroy(unanswered())
    }

    override _handleReadyForQuery(message: ReadyMessage): void {
      // Neon's own, without a message, before the server has said a word.
      const vitals = message ? vitalsOf(this) : undefined
      // First: what follows may hand the connection out.
      if (vitals) host.ready(this as unknown as PeerClient, vitals)
      if (!vitals || isProbesTurn(vitals)) return super._handleReadyForQuery(message)
      if (this.#isDoubtsTurn && !this.#isAnswered) return this.#resolve(vitals)
      this.#isAnswered = false
      const own = this.#own
      if (!own) {
        host.ended(this as unknown as PeerClient, vitals, message)
        return super._handleReadyForQuery(message)
      }
      vitals.own?.shift()
      if (this.#ahead > 0) this.#ahead--
      if (vitals.owed?.behind) vitals.owed.behind--
      // The next message is the server's first reply to what was sent behind it.
      vitals.sending.bytesRead = this.connection.stream.bytesRead
      const hasWaited = this.#patience !== undefined
      this.#patience?.cancel()
      this.#patience = undefined
      own.end()
      // What is sent behind one of the pool's own was sent to PostgreSQL, as far as was known.
      if (!this.#doubted && !host.mayFollow(this as unknown as PeerClient)) this.#doubt(vitals)
      // Also if its caller has withdrawn what waited: then the client is free, and no other answer says so.
      if (hasWaited || queuedQueriesOf(this).length > 0) this._pulseQueryQueue()
    }
  }
}

/** pg's own message for a setting that the server reports. */
interface Setting {
  readonly parameterName: string
  readonly parameterValue: string
}

/** Is the next ReadyForQuery that to the probe? */
function isProbesTurn({ owed }: Vitals): boolean {
  return owed?.behind === 0
}

function vitalsOf(client: object): Vitals | undefined {
  return (client as { [VITALS]?: Vitals })[VITALS]
}

/** pg's own Query: it leaves the socket to pg. */
function isPlain(query: PeerQuery | undefined): boolean {
  return query?.requiresPreparation !== undefined
}
