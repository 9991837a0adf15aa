/**
 * Several statements in one flight: written together, with one Sync behind the last, and answered together. To pg it is one statement of the user's own making. If one
 * fails the server skips those behind it; outside of a transaction all of them are one, which the Sync commits.
 */

import { OptionError, type StatementCache, TransactionUseError } from '@thaw/core'
import { loseQueued, loseSent, lossOf } from '../connection/lost-statement.ts'
import { notQueryable } from '../connection/not-queryable.ts'
import type { Memory } from '../connection/pool-context.ts'
import { isBroken, type Vitals } from '../connection/vitals.ts'
import { isBusy, whenReady } from '../connection/when-finished.ts'
import type { Driver } from '../driver/driver.ts'
import type { PeerClient, PeerConnection, PeerQuery } from '../driver/peer.ts'
import { streamOf } from '../driver/socket.ts'
import type { Settings } from '../options/options.ts'
import { vitalsOf } from './backend.ts'
import { copyOf } from './config.ts'
import { INSIDE_ANOTHER } from './refused-use.ts'

/** As a user writes it: a text, or a configuration. */
export interface FlightStatement {
  readonly config: unknown
  readonly values?: unknown
  /** What its command tag is to begin with, where the server is sent another statement around it. */
  readonly tag?: string
  /** Its answer is let out at once: behind it goes a Flush. Only where someone asks after what falls silent. */
  readonly flushes?: boolean
  /** Called as soon as it has been answered, with its result. Must not throw. */
  readonly answered?: (result: unknown) => void
  /** It is not executed, and answered with these: the server only says what their columns are. It must be alone. */
  readonly answer?: {
    readonly rows: readonly (readonly (string | null)[])[]
    /** Of the columns, as they were. Undefined: not known. */
    readonly names?: readonly string[] | undefined
    readonly tag: string
  }
}

/** What became of a flight. */
export interface Landing {
  /** One for each statement that was answered. */
  readonly results: readonly unknown[]
  /** Undefined: all went well. */
  readonly error?: Error
  /** Whose error that is: the place of the statement. All before it have results, all behind it were skipped. */
  readonly failedAt: number
  /** The server has warned that it has committed without its replicas. */
  readonly isUnreplicated?: boolean
}

/** What holds for the flight as a whole. */
export interface FlightOptions {
  /** What it is judged by, if its connection is lost. */
  readonly text: string
  /** What tracing tools are shown. Default: the same. */
  readonly shown?: string | undefined
  /** The place of the statement whose result they are shown. Default: the first. */
  readonly shownAt?: number
  readonly signal?: unknown
  readonly query_timeout?: unknown
  /** What was answered is to be let out at once, not when the last statement is done: in front of the last Sync goes a Flush. */
  readonly flushes?: boolean
  /** It ends its transaction. Should that answer be lost, its sender asks the server what became of it, and tells. */
  readonly ends?: boolean
  /** What is in front is answered at once, whatever the user's statements do. */
  readonly isAnsweredAtOnce?: boolean
}

/** pg's Query, with the members that it shares with its client. */
interface InnerQuery extends PeerQuery {
  readonly name?: string
  readonly values?: unknown
  binary?: boolean
  rows?: unknown
  readonly _result?: { _types?: unknown }
  requiresPreparation(): boolean
  submit(connection: object): Error | null
  handleRowDescription(message: object): void
  handleDataRow(message: object): void
  handleCommandComplete(message: object, connection: object): void
  handleReadyForQuery(connection: object): void
}

interface FlightConnection extends PeerConnection {
  readonly parsedStatements: Record<string, string | undefined>
  /** Since pg 8.22. */
  readonly submittedNamedStatements?: Record<string, unknown>
  sync(): void
  flush(): void
}

/** What flights need of their pool. */
export interface FlightHost {
  readonly driver: Pick<Driver, 'Query'>
  readonly settings: Settings
  readonly classify: StatementCache
  readonly memory: Memory
}

/** Sends the statements. Resolves when the server is ready for more, or the connection is lost: never rejects. */
export async function fly(
  client: PeerClient,
  host: FlightHost,
  statements: readonly FlightStatement[],
  options: FlightOptions,
): Promise<Landing> {
  // pg's own words for that say nothing of what became of the statements.
  if (client._queryable === false || client._ending)
    return { results: [], failedAt: 0, error: loseQueued(client, notQueryable(vitalsOf(client))) }
  if (!streamOf(client)) return { results: [], failedAt: 0, error: noProtocol() }
  if (client.pipeline) return { results: [], failedAt: 0, error: noPipeline() }
  const vitals = vitalsOf(client)
  if (vitals && options.ends) vitals.isFoundOut = true
  const { mayFlush } = host.settings
  // Behind a pooler no statement is asked about.
  const isWatched = mayFlush && host.memory.isDirect !== false
  const landing = await new Promise<Landing>((resolve) => {
    try {
      const flushes = mayFlush && options.flushes === true
      const flight = new Flight(client, host.driver, statements, { ...options, flushes, isWatched }, resolve)
      flight.text = options.shown ?? options.text
      // Tracing tools wrap `query`: to them it is the user's statement, from here to its callback.
      ;(client.query as (flight: PeerQuery, values: undefined, callback: () => void) => unknown)(flight, undefined, () => {})
      flight.text = options.text
    } catch (thrown) {
      // A getter of the caller's, or a wrapper.
      resolve({ results: [], failedAt: -1, error: thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown }) })
    }
  })
  if (vitals) vitals.isFoundOut = false
  const { error } = landing
  // Its Sync has committed nothing.
  if (!error && options.ends && vitals?.status === 'T')
    return { ...landing, failedAt: -1, error: new TransactionUseError({ message: INSIDE_ANOTHER }) }
  if (!error || !('severity' in error) || lossOf(error) || !isBusy(client)) return landing
  // The server sends an error at once, and is ready a moment later. If the connection ends instead it was no answer: a proxy that loses its server may say ERROR, too.
  const isReady = await new Promise<boolean>((resolve) => whenReady(client, host.settings, resolve))
  if (isReady || !vitals || !isBroken(client)) return landing
  const lost = { query: { text: options.text, handleError() {}, requiresPreparation: () => true }, isPipelined: false }
  return {
    ...landing,
    error: loseSent(client, vitals, { ...lost, classify: host.classify, isDirect: host.memory.isDirect === true }, error),
  }
}

/** A statement of ours by itself that takes no time: should it fall silent, no proof is needed. Throws its error. */
export async function flyOwn(client: PeerClient, host: FlightHost, text: string, query_timeout?: number): Promise<void> {
  const { error } = await fly(client, host, [{ config: text }], { text, query_timeout, isAnsweredAtOnce: true })
  if (error) throw error
}

function noPipeline(): OptionError {
  return new OptionError({
    option: 'pipeline',
    allowed: 'false, or left out',
    message:
      'Transactions, batches, "once" and keys send several statements as one, which node-postgres does not allow with its option "pipeline". Leave the option out, or use another pool for them.',
  })
}

function noProtocol(): OptionError {
  return new OptionError({
    option: 'Client',
    allowed: "a class that extends the driver's Client",
    message:
      'Transactions, batches and keys speak PostgreSQL\'s protocol, and the class in option "Client" has no connection that does. Give one that extends the driver\'s Client, or leave the option out.',
  })
}

const PUT_OFF =
  'Not sent: code around submit() of the driver’s Query has written nothing. The statements of a transaction, a batch or a key go out together, so it must write before it returns.'

const IGNORED = { value: () => {} }

class Flight implements PeerQuery {
  text: string
  callback?: PeerQuery['callback']
  readonly signal: unknown
  readonly query_timeout: unknown
  awaitsFirst: boolean
  readonly #client: PeerClient
  readonly #flushes: boolean
  readonly #isWatched: boolean
  readonly #shownAt: number
  readonly #statements: readonly FlightStatement[]
  readonly #parts: InnerQuery[]
  readonly #results: unknown[] = []
  readonly #vitals: Vitals | undefined
  readonly #landed: (landing: Landing) => void
  #at = 0
  #failure: { readonly error: Error; readonly at: number } | undefined
  #isOver = false
  #unhook: () => void = () => {}

  constructor(
    client: PeerClient,
    { Query }: Pick<Driver, 'Query'>,
    statements: readonly FlightStatement[],
    options: FlightOptions & { readonly isWatched: boolean },
    landed: (landing: Landing) => void,
  ) {
    const { text, signal, query_timeout, flushes = false, isWatched, isAnsweredAtOnce = false, shownAt = 0 } = options
    this.text = text
    this.signal = signal
    this.query_timeout = query_timeout
    this.awaitsFirst = isAnsweredAtOnce && isWatched
    this.#client = client
    this.#flushes = flushes
    this.#isWatched = isWatched
    this.#shownAt = shownAt
    this.#vitals = vitalsOf(client)
    this.#landed = landed
    const Inner = Query as unknown as new (
      config: unknown,
      values: unknown,
      callback: (error: Error | null, result: unknown) => void,
    ) => InnerQuery
    this.#statements = statements
    this.#parts = statements.map(({ config, values, answer }, at) => {
      const part = new Inner(copyOf(config), values, (error, result) => {
        if (error) this.#failure ??= { error, at }
        else this.#results[at] = result
      })
      // As pg does it: by the simple protocol all is text.
      const isText = !part.requiresPreparation()
      // By the simple protocol there is a Sync in each.
      part.requiresPreparation = () => true
      // In portions it would be answered by half: the rest is asked for once the first one has come. Its caller gets all of them anyway.
      part.rows = undefined
      // What was kept is text.
      if (answer || isText) part.binary = false
      else if (client.binary) part.binary = true
      if (part._result && !part._result._types) part._result._types = (client as unknown as { _types?: unknown })._types
      return part
    })
  }

  /** To the rest of the pool it is an ordinary statement of the extended protocol. */
  requiresPreparation(): boolean {
    return true
  }

  submit(given: PeerConnection): Error | null {
    const connection = given as FlightConnection
    for (const [at, part] of this.#parts.entries()) {
      const refusal = whyNot(part, connection)
      if (!refusal) continue
      this.#failure = { error: refusal, at }
      return refusal
    }
    const parsing: InnerQuery[] = []
    const written: unknown[] = []
    // A value that cannot be bound fails while the messages are made. Then none is sent: those before it would be stored without it.
    const stream = Object.create(connection.stream, {
      write: { value: (chunk: unknown) => written.push(chunk) },
      cork: IGNORED,
      uncork: IGNORED,
    })
    const draft: FlightConnection = Object.create(connection, { sync: IGNORED, stream: { value: stream } })
    const asking: FlightConnection = Object.create(draft, { execute: IGNORED })
    for (const [at, part] of this.#parts.entries()) {
      if (!isParsed(part, connection)) parsing.push(part)
      const { length } = written
      const statement = this.#statements[at]
      const refused = part.submit(statement?.answer ? asking : draft)
      if (refused) this.#failure ??= { error: refused, at }
      // Without it the Sync would commit the others, or nothing at all.
      else if (written.length === length) this.#failure ??= { error: this.#whyUnwritten(), at }
      if (statement?.flushes && this.#isWatched) draft.flush()
    }
    const forget = () => {
      for (const { name } of parsing) if (name && connection.submittedNamedStatements) delete connection.submittedNamedStatements[name]
    }
    if (this.#failure) {
      forget()
      // Told with the loss: pg up to 8.8, which is in Neon's driver, would look a tick later for a statement that the loss has taken away, and throw.
      return isBroken(this.#client) ? null : this.#failure.error
    }
    const parsed = () => noteParsed(connection, parsing.shift())
    connection.on('parseComplete', parsed)
    this.#unhook = () => {
      connection.off('parseComplete', parsed)
      forget()
    }
    connection.stream.cork?.()
    for (const chunk of written) connection.stream.write(chunk)
    if (this.#flushes) connection.flush()
    connection.sync()
    connection.stream.uncork?.()
    return null
  }

  /** pg writes nothing to a socket that was closed on this side, and says nothing either. */
  #whyUnwritten(): Error {
    const client = this.#client
    return isBroken(client) ? loseQueued(client, notQueryable(this.#vitals)) : new Error(PUT_OFF)
  }

  /** What tracing tools are shown, once the server is ready: pg hands results over only then. */
  get shownResult(): unknown {
    return this.#failure || this.#at <= this.#shownAt ? undefined : this.#parts[this.#shownAt]?._result
  }

  get #current(): InnerQuery | undefined {
    return this.#parts[this.#at]
  }

  handleRowDescription(message: object): void {
    const part = this.#current
    part?.handleRowDescription(message)
    const answer = this.#statements[this.#at]?.answer
    if (!part || !answer) return
    const columns = (message as { fields: readonly { readonly name: string }[] }).fields
    // The table has got other columns since.
    if (answer.rows.some((row) => row.length !== columns.length)) return
    if (answer.names?.some((name, index) => name !== columns[index]?.name)) return
    for (const fields of answer.rows) part.handleDataRow({ fields })
    part.handleCommandComplete({ text: answer.tag }, {})
    this.#at++
  }

  handleDataRow(message: object): void {
    this.#current?.handleDataRow(message)
  }

  handleCommandComplete(message: object, connection: object): void {
    const { tag, flushes, answered } = this.#statements[this.#at] ?? {}
    const { text } = message as { text: string }
    if (flushes) this.awaitsFirst = false
    answered?.(this.#current?._result)
    this.#current?.handleCommandComplete(tag ? { ...message, text: text.replace(/^\D+/, `${tag} `) } : message, connection)
    this.#at++
  }

  handleEmptyQuery(): void {
    this.#at++
  }

  handlePortalSuspended(): void {}

  handleCopyInResponse(connection: { sendCopyFail(message: string): void }): void {
    connection.sendCopyFail('No source stream defined')
  }

  handleCopyData(): void {}

  handleError(error: Error): void {
    if (this.#isOver) return
    this.#failure ??= { error, at: this.#at }
    this.#land({})
  }

  handleReadyForQuery(connection: object): void {
    if (this.#isOver) return
    this.#land(connection)
  }

  #land(connection: object): void {
    this.#isOver = true
    // Here pg hands the result over, or the error of a parser of the user's own.
    for (const part of this.#parts.slice(0, this.#at)) part.handleReadyForQuery(connection)
    this.callback?.(this.#failure?.error ?? null, this.#results.at(-1))
    this.#unhook()
    const isUnreplicated = this.#vitals?.sending.isUnreplicated === true
    this.#landed({
      results: this.#results,
      failedAt: this.#failure?.at ?? -1,
      ...(this.#failure && { error: this.#failure.error }),
      ...(isUnreplicated && { isUnreplicated }),
    })
  }
}

/** As pg refuses it: before a byte of the flight is written. */
function whyNot({ text, name, values }: InnerQuery, connection: FlightConnection): Error | undefined {
  if (typeof text !== 'string' && typeof name !== 'string')
    return new Error('A query must have either text or a name. Supplying neither is unsupported.')
  const previous = name === undefined ? undefined : (connection.parsedStatements[name] ?? connection.submittedNamedStatements?.[name])
  if (text && previous && text !== previous)
    return new Error(`Prepared statements must be unique - '${name}' was used for a different statement`)
  if (values && !Array.isArray(values)) return new Error('Query values must be an array')
  return undefined
}

function isParsed({ name }: InnerQuery, { parsedStatements, submittedNamedStatements }: FlightConnection): boolean {
  return name !== undefined && (parsedStatements[name] ?? submittedNamedStatements?.[name]) !== undefined
}

/** As pg does for the one statement that it knows of. */
function noteParsed({ parsedStatements, submittedNamedStatements }: FlightConnection, part: InnerQuery | undefined): void {
  if (!part?.name) return
  parsedStatements[part.name] = part.text as string | undefined
  if (submittedNamedStatements) delete submittedNamedStatements[part.name]
}
