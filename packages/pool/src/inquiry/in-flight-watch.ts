/**
 * Statements whose connection falls silent under them. The health check at acquire cannot see this: the connection was good when it was
 * handed out. Looks once a second, only while a statement may be under way, and asks the server before it takes anything for lost.
 */

import { type Clock, elapsedMillis, type Reading, read, type Statement, spend, startDeadline, type Timer } from '@thaw/core'
import { FLUSH } from '../connection/extended-query.ts'
import { isBroken, type Vitals } from '../connection/vitals.ts'
import { wireError } from '../driver/errno.ts'
import { activeQueryOf, type PeerClient, type PeerQuery, queuedQueriesOf, textOf } from '../driver/peer.ts'
import { streamOf } from '../driver/socket.ts'
import { type Address, addressOf } from './address.ts'
import { isDone, isElsewhere, isGone, isResting, type Span } from './evidence.ts'
import type { Answer, Inquirer, InquirerHost } from './inquirer.ts'

export interface WatchHost extends Pick<InquirerHost, 'settings' | 'memory' | 'pool'> {
  readonly inquirer: Inquirer
  readonly checks: { vitalsOf(client: PeerClient): Vitals; readonly classify: (text: string) => Statement }
}

/** How often it looks. A statement is asked about when it has waited for a whole interval without a byte. */
const INTERVAL_MILLIS = 1000
/** A timer that is so late was not late by itself. Shorter standstills are survived by connections. */
const STANDSTILL_MILLIS = 2 * INTERVAL_MILLIS
/** A statement that was not found finished is asked about again when it has waited twice as long, but at least this often. */
const MOST_PAUSE_MILLIS = 30_000
/** A balancer that takes turns leads two questions to two servers. */
const MISSES_IN_THE_WAY = 2

/** What was seen of a client's statement at the last look. */
interface Sight {
  readonly query: PeerQuery
  /** It was sent between two looks. */
  readonly sent: Span
  readonly bytesRead: number
  /** The last byte came between two looks. */
  readonly heard: Span
  /** Until when it is left alone. */
  pauseUntil: number
  pauseMillis: number
  /** How often the server that was asked did not know of it. */
  misses: number
  /** It has been asked about, and no answer came. */
  isUnknown: boolean
}

interface Suspect {
  readonly client: PeerClient
  readonly sight: Sight
  readonly address: Address | undefined
}

export class InFlightWatch {
  readonly #host: WatchHost
  readonly #inquirer: Inquirer
  readonly #sights = new Map<PeerClient, Sight>()
  readonly #clock: Clock
  #timer: Timer | undefined
  #lookedAt: Reading
  /** When a timer, or what was asked of the pool, last showed that the process runs. */
  #ranAt: Reading
  #isBusy = false

  constructor(host: WatchHost) {
    this.#host = host
    this.#inquirer = host.inquirer
    this.#clock = host.settings.clock
    this.#lookedAt = read(this.#clock)
    this.#ranAt = this.#lookedAt
  }

  /** A client is in use, or its former caller's statement is on it. Costs nothing while the timer runs anyway. */
  start(): void {
    if (this.#timer !== undefined) return
    this.#lookedAt = read(this.#clock)
    this.#ranAt = this.#lookedAt
    this.#timer = this.#clock.setTimer(() => this.#look(), INTERVAL_MILLIS, true)
  }

  /**
   * `onConnect` has it. Should another connection be opened beside it? Not while it runs no statement, or that has not been asked about yet, or the server is at
   * work on it. It should if the server does not know of the statement, or has not answered, or cannot be asked (there is a pooler, or no room for the question);
   * and if `onConnect` has taken longer than any caller waits.
   */
  watchPreparing(client: PeerClient): boolean {
    this.start()
    const { pool, memory, checks } = this.#host
    const longestMillis = Number(pool.options.connectionTimeoutMillis) || Number.POSITIVE_INFINITY
    if (this.#clock.mono() - (checks.vitalsOf(client).readySince ?? Number.POSITIVE_INFINITY) >= longestMillis) return true
    if (!this.#awaited(client)) return false
    const sight = this.#sights.get(client)
    return memory.isDirect === false || pool._clients.length > pool.options.max || sight?.isUnknown === true || (sight?.misses ?? 0) > 0
  }

  stop(): void {
    if (this.#timer !== undefined) this.#clock.clearTimer(this.#timer)
    this.#timer = undefined
    this.#sights.clear()
    this.#inquirer.stop()
  }

  /** If no timer has run for long, the process has stood still, or its event loop was busy: the answers to what is under way may have waited in their sockets. */
  noteStandstill(now: Reading): void {
    if (this.#timer === undefined || elapsedMillis(this.#ranAt, now) <= STANDSTILL_MILLIS) return
    this.#ranAt = now
    for (const client of this.#host.pool._clients) {
      const vitals = this.#host.checks.vitalsOf(client)
      if (this.#awaited(client) || vitals.owed) vitals.wasAskedBefore = true
    }
  }

  #look(): void {
    const now = read(this.#clock)
    this.noteStandstill(now)
    this.#ranAt = now
    this.#timer = undefined
    const occupied = this.#host.pool._clients.filter((client) => mayWait(this.#host.checks.vitalsOf(client)))
    for (const client of this.#sights.keys()) if (!occupied.includes(client)) this.#sights.delete(client)
    if (occupied.length === 0) return
    const since: Span = { from: this.#lookedAt, to: now }
    // A pooler's PIDs cannot be asked about.
    const mayAsk = this.#host.memory.isDirect !== false
    if (mayAsk) for (const client of occupied) this.#lookAt(client, since)
    this.start()
    if (mayAsk && !this.#isBusy) void this.#askAfter(this.#due(now))
  }

  #lookAt(client: PeerClient, since: Span): void {
    const query = this.#awaited(client)
    const { bytesRead, isPaused } = streamOf(client) ?? {}
    // A cursor may be waiting for its reader, and a stream for its writer: it cannot be told which side is late. Unless it has not been sent.
    if (
      !query ||
      (query.requiresPreparation === undefined && !this.#isAsked(client)) ||
      bytesRead === undefined ||
      isPaused?.call(client.connection.stream) ||
      isBroken(client)
    ) {
      this.#sights.delete(client)
      return
    }
    const before = this.#sights.get(client)
    if (before?.query === query && before.bytesRead === bytesRead) return
    const sent = before?.query === query ? before.sent : since
    const pauseUntil = since.to.mono + INTERVAL_MILLIS / 2
    this.#sights.set(client, {
      query,
      sent,
      bytesRead,
      heard: since,
      pauseUntil,
      pauseMillis: INTERVAL_MILLIS,
      misses: 0,
      isUnknown: false,
    })
  }

  #due({ mono }: Reading): Suspect[] {
    const due = [...this.#sights].filter(([, { pauseUntil }]) => mono >= pauseUntil)
    return due.map(([client, sight]) => ({ client, sight, address: addressOf(client) }))
  }

  /** One query for each address, one after the other. A statement that is not asked about now is due at the next look. */
  async #askAfter(suspects: readonly Suspect[]): Promise<void> {
    this.#isBusy = true
    try {
      for (const group of groupByAddress(suspects)) {
        const silent = group.filter((suspect) => this.#isSilent(suspect))
        if (silent.length > 0 && this.#inquirer.mayAsk) await this.#ask(silent)
      }
    } finally {
      this.#isBusy = false
    }
  }

  async #ask(suspects: readonly Suspect[]): Promise<void> {
    const now = this.#clock.mono()
    for (const { sight } of suspects) {
      sight.pauseMillis = Math.min(MOST_PAUSE_MILLIS, sight.pauseMillis * 2)
      sight.pauseUntil = now + sight.pauseMillis - INTERVAL_MILLIS / 2
    }
    const answer = await this.#inquirer.ask(
      suspects[0]?.address,
      this.#atSameAddress(suspects),
      suspects.some(({ client }) => this.#host.checks.vitalsOf(client).backend),
    )
    for (const { sight } of suspects) sight.isUnknown = !answer
    if (!answer) return
    // Then some of our connections lead there, and will be free again; and the others may lead elsewhere.
    const isOneAtWork = [...answer.backends].some(([pid, backend]) => pid > 0 && !isResting(backend))
    for (const suspect of suspects) {
      if (!this.#isLost(suspect, answer, isOneAtWork)) continue
      startDeadline(this.#clock, this.#graceMillis(suspect), () => {
        if (this.#isSilent(suspect)) suspect.client.connection.stream.destroy(fellSilent())
      })
    }
  }

  /**
   * The answer may be on its way: a lost packet is resent after 200 ms. A probe's timeout is enough for that. What is lost with a client that has
   * yet to send its statement is more than a statement; the pauses of TCP double, so that it has resent the probe when as much time has passed again.
   */
  #graceMillis({ client, sight }: Suspect): number {
    const { probeTimeoutMillis } = this.#host.settings
    return this.#isAsked(client) ? Math.max(probeTimeoutMillis, this.#clock.mono() - sight.sent.from.mono) : probeTimeoutMillis
  }

  #isLost(suspect: Suspect, { backends, presence, asked }: Answer, isOneAtWork: boolean): boolean {
    const { client, sight } = suspect
    const known = this.#host.checks.vitalsOf(client).backend
    if (known && presence && isGone(known, presence)) return true
    const isAnothers = known !== undefined && presence !== undefined && isElsewhere(known, presence)
    const backend = isAnothers ? undefined : backends.get(client.processID ?? 0)
    if (backend && this.#isAlone(client) && isDone(backend, this.#witness(suspect), asked)) return true
    const isMissing = !backend || isResting(backend)
    sight.misses = isMissing ? sight.misses + 1 : 0
    if (!isMissing) return false
    // What has forgotten the connection answers a byte with a FIN or an RST. The server answers nothing, and does nothing.
    if (client.connection.stream.writable) client.connection.stream.write(FLUSH)
    return this.#needsNoProof(suspect) || (sight.misses >= MISSES_IN_THE_WAY && !isOneAtWork && this.#isInTheWay(suspect))
  }

  /** Whose statements are silent, there. */
  #atSameAddress(suspects: readonly Suspect[]): PeerClient[] {
    const place = placeOf(suspects[0]?.address)
    return [...this.#sights.keys()].filter((client) => placeOf(addressOf(client)) === place)
  }

  /**
   * A backend that is not found, or whose idleness may be another's, proves nothing: another server may have been asked. But a read can be sent again, once, at the price of the work on it so far; and
   * where no connection gets on, those who wait would wait for ever if it is lost.
   */
  #isInTheWay({ client, sight: { query } }: Suspect): boolean {
    const { pool, memory, checks } = this.#host
    const { state, isPoolQuery, isSecondTry, ledger, sessionState } = checks.vitalsOf(client)
    // Nothing of a caller's is on it yet.
    if (state === 'connecting') return true
    const text = textOf(query)
    if (!isPoolQuery || isSecondTry || sessionState !== 'none' || typeof text !== 'string') return false
    const areWaiting = pool._pendingQueue.length > 0 || (ledger !== undefined && ledger.length > 1)
    return areWaiting && !this.#isOneFlowing() && checks.classify(text).kind === 'read' && spend(memory.budget) !== undefined
  }

  /** It will serve those who wait. A client that its caller keeps without a statement may never. */
  #isOneFlowing(): boolean {
    const now = this.#clock.mono()
    return this.#host.pool._clients.some((client) => {
      if (!this.#host.checks.vitalsOf(client).isOccupied || !this.#awaited(client) || isBroken(client)) return false
      const sight = this.#sights.get(client)
      return sight === undefined || !this.#isSilent({ client, sight }) || now - sight.heard.to.mono < INTERVAL_MILLIS / 2
    })
  }

  /**
   * Nor does it need a proof where the table of keys is asked what became of a write: that answer waits for one that is still at work. Nor where a question of ours, in front of the user's statements, is not
   * even answered: whatever they do, that takes no time.
   */
  #needsNoProof({ client, sight }: Suspect): boolean {
    return this.#host.checks.vitalsOf(client).isUnderKey === true || sight.query.awaitsFirst === true
  }

  #isSilent({ client, sight }: Pick<Suspect, 'client' | 'sight'>): boolean {
    return this.#awaited(client) === sight.query && client.connection.stream.bytesRead === sight.bytesRead && !isBroken(client)
  }

  /** Its statement waits for the reply to a probe. */
  #isAsked(client: PeerClient): boolean {
    return this.#host.checks.vitalsOf(client).asking !== undefined
  }

  /**
   * The statement that is waited for: the one that runs, or, if an error has come and the server is not ready yet, the first one behind it; or
   * the first of those that wait for the reply to a probe.
   */
  #awaited(client: PeerClient): PeerQuery | undefined {
    return activeQueryOf(client) ?? (client.readyForQuery === false || this.#isAsked(client) ? queuedQueriesOf(client)[0] : undefined)
  }

  /** Two of our connections with the same PID go to two servers: it cannot be told which of them answered. */
  #isAlone({ processID }: PeerClient): boolean {
    return this.#host.pool._clients.filter((one) => one.processID === processID).length === 1
  }

  #witness({ client, sight }: Suspect) {
    const { bornAt, readySince, provenAt } = this.#host.checks.vitalsOf(client)
    const { localPort } = client.connection.stream
    const dialMillis = (readySince ?? bornAt.mono) - bornAt.mono
    const readyAt: Reading = { mono: bornAt.mono + dialMillis, wall: bornAt.wall + dialMillis }
    const ready: Span = { from: provenAt, to: provenAt }
    return { localPort, born: { from: bornAt, to: readyAt }, ready, heard: sight.heard, sent: sight.sent }
  }
}

/** May a statement wait on it: of a caller's, or of `onConnect`? */
function mayWait({ state, isOccupied }: Vitals): boolean {
  return isOccupied || state === 'connecting'
}

function groupByAddress(suspects: readonly Suspect[]): Iterable<Suspect[]> {
  const groups = new Map<string, Suspect[]>()
  for (const suspect of suspects) {
    const key = placeOf(suspect.address)
    const group = groups.get(key)
    if (group) group.push(suspect)
    else groups.set(key, [suspect])
  }
  return groups.values()
}

function placeOf(address: Address | undefined): string {
  return `${address?.host} ${address?.port}`
}

function fellSilent(): Error {
  return wireError('ETIMEDOUT', 'Connection fell silent: the server is not working on the statement, but no answer came')
}
