/** One backend of the scripted server: reads messages in order, works for as long as a statement says, answers as PostgreSQL does. */

import type { Clock, Timer } from '@thaw/core'
import {
  AUTHENTICATION_OK,
  BIND_COMPLETE,
  BodyReader,
  backendKeyData,
  CLOSE_COMPLETE,
  commandComplete,
  dataRow,
  EMPTY_QUERY,
  errorResponse,
  NO_DATA,
  PARSE_COMPLETE,
  PORTAL_SUSPENDED,
  type Request,
  readyForQuery,
  rowDescription,
  type ScriptedColumn,
  type SessionStatus,
} from './scripted-wire.ts'

/** What a statement answers. */
export interface ScriptedAnswer {
  /** None: it has no rows, as COMMIT. */
  readonly columns?: readonly ScriptedColumn[]
  readonly rows?: readonly (readonly (string | null)[])[]
  /** Command tag. Default: `SELECT` and the number of rows. */
  readonly tag?: string
  /** For how long the server works on it. Default: 0. */
  readonly workMillis?: number
  /** What is sent in place of an answer. */
  readonly error?: { readonly code: string; readonly message: string }
  /** Runs when the work is done, and only then: what the statement does. */
  readonly effect?: () => void
}

/** What a session needs of its server. */
export interface SessionHost {
  /** For how long statements take. */
  readonly time: Pick<Clock, 'setTimer' | 'clearTimer'>
  readonly pid: number
  readonly secret: number
  send(bytes: Buffer): void
  close(): void
  /** Undefined: PostgreSQL does not understand it. */
  answer(text: string, values: readonly (string | undefined)[]): ScriptedAnswer | undefined
}

/** What PostgreSQL keeps until it is ready, or asked to flush: PQ_SEND_BUFFER_SIZE in its src/backend/libpq/pqcomm.c. */
const BUFFER_BYTES = 8192

interface Portal {
  readonly text: string
  readonly answer: ScriptedAnswer
  /** Rows that were sent. */
  sent: number
  isDone: boolean
}

interface Work {
  readonly timer: Timer
  fail(code: string, words: string): void
}

export class ScriptedSession {
  readonly #host: SessionHost
  readonly #inbox: Request[] = []
  readonly #statements = new Map<string, string>()
  readonly #portals = new Map<string, Portal>()
  #output: Buffer[] = []
  #status: SessionStatus = 'I'
  #work: Work | undefined
  #skipsToSync = false
  #hasEnded = false

  constructor(host: SessionHost) {
    this.#host = host
    this.#output.push(AUTHENTICATION_OK, backendKeyData(host.pid, host.secret))
    this.#ready()
  }

  /** Does it work on a statement? */
  get isBusy(): boolean {
    return this.#work !== undefined
  }

  get status(): SessionStatus {
    return this.#status
  }

  receive(request: Request): void {
    this.#inbox.push(request)
    this.#read()
  }

  /** A CancelRequest came for it. */
  cancel(): void {
    this.#work?.fail('57014', 'canceling statement due to user request')
  }

  /** `pg_terminate_backend`. */
  terminate(): void {
    this.#flush()
    this.#host.send(errorResponse('57P01', 'terminating connection due to administrator command', 'FATAL'))
    this.end()
  }

  end(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    if (this.#work) this.#host.time.clearTimer(this.#work.timer)
    this.#work = undefined
    this.#host.close()
  }

  #read(): void {
    while (!this.#work && !this.#hasEnded) {
      const request = this.#inbox.shift()
      if (!request) return
      if (!this.#skipsToSync || request.type === 'S' || request.type === 'X') this.#handle(request)
    }
  }

  #handle({ type, body }: Request): void {
    const reader = new BodyReader(body)
    if (type === 'Q') this.#query(reader.text())
    else if (type === 'P') this.#parse(reader.text(), reader.text())
    else if (type === 'B') this.#bind(reader)
    else if (type === 'D') this.#describe(body)
    else if (type === 'E') this.#execute(reader.text(), reader.int32())
    else if (type === 'C') this.#closePart(String.fromCharCode(body[0] ?? 0), body.toString('utf8', 1, body.length - 1))
    else if (type === 'S') this.#sync()
    else if (type === 'H') this.#flush()
    else if (type === 'X') this.end()
    else this.#fail('08P01', `invalid frontend message type ${type}`)
  }

  #query(text: string): void {
    const portal = this.#portal(text, [])
    if (portal && text.trim() === '') this.#output.push(EMPTY_QUERY)
    if (!portal || text.trim() === '') return this.#ready()
    this.#run(portal, () => {
      if (portal.answer.columns) this.#output.push(rowDescription(portal.answer.columns))
      this.#rows(portal, 0)
    })
    if (!this.#work) this.#ready()
    else this.#afterWork = () => this.#ready()
  }

  #afterWork: (() => void) | undefined

  #parse(name: string, text: string): void {
    this.#statements.set(name, text)
    this.#output.push(PARSE_COMPLETE)
  }

  #bind(reader: BodyReader): void {
    const name = reader.text()
    const text = this.#statements.get(reader.text())
    for (let left = reader.int16(); left > 0; left--) reader.int16()
    const values: (string | undefined)[] = []
    for (let left = reader.int16(); left > 0; left--) values.push(reader.value())
    if (text === undefined) return this.#fail('26000', 'prepared statement does not exist')
    const portal = this.#portal(text, values)
    if (!portal) return
    this.#portals.set(name, portal)
    this.#output.push(BIND_COMPLETE)
  }

  #describe(body: Buffer): void {
    const columns = this.#portals.get(body.toString('utf8', 1, body.length - 1))?.answer.columns
    this.#output.push(columns ? rowDescription(columns) : NO_DATA)
  }

  #execute(name: string, most: number): void {
    const portal = this.#portals.get(name)
    if (!portal) return this.#fail('34000', `portal "${name}" does not exist`)
    if (portal.text.trim() === '') return void this.#output.push(EMPTY_QUERY)
    if (portal.isDone) return this.#rows(portal, most)
    this.#run(portal, () => this.#rows(portal, most))
  }

  #closePart(kind: string, name: string): void {
    if (kind === 'S') this.#statements.delete(name)
    else this.#portals.delete(name)
    this.#output.push(CLOSE_COMPLETE)
  }

  #sync(): void {
    this.#skipsToSync = false
    // The end of an implicit transaction is the end of its portals.
    if (this.#status !== 'T') this.#portals.clear()
    this.#ready()
  }

  #portal(text: string, values: readonly (string | undefined)[]): Portal | undefined {
    const answer = text.trim() === '' ? {} : (control(text, this.#status) ?? this.#host.answer(text, values))
    if (answer && (this.#status !== 'E' || /^\s*(rollback|commit|end)/i.test(text))) return { text, answer, sent: 0, isDone: false }
    if (answer) this.#fail('25P02', 'current transaction is aborted, commands ignored until end of transaction block')
    else this.#fail('42601', `not in the script: ${text}`)
    return undefined
  }

  /** Works for as long as the statement takes, then goes on with what has arrived meanwhile. */
  #run(portal: Portal, answered: () => void): void {
    const finish = (error: ScriptedAnswer['error']) => {
      portal.isDone = true
      if (error) return this.#fail(error.code, error.message)
      portal.answer.effect?.()
      this.#status = statusAfter(portal.text, this.#status)
      answered()
    }
    const { workMillis = 0, error } = portal.answer
    if (workMillis <= 0) return finish(error)
    const resume = (failure: ScriptedAnswer['error']) => {
      this.#work = undefined
      const after = this.#afterWork
      this.#afterWork = undefined
      finish(failure)
      after?.()
      this.#read()
    }
    const timer = this.#host.time.setTimer(() => resume(error), workMillis)
    const fail = (code: string, words: string) => {
      this.#host.time.clearTimer(timer)
      resume({ code, message: words })
    }
    this.#work = { timer, fail }
  }

  #rows(portal: Portal, most: number): void {
    const { rows = [], tag = `SELECT ${rows.length}` } = portal.answer
    const end = most > 0 ? Math.min(rows.length, portal.sent + most) : rows.length
    for (const row of rows.slice(portal.sent, end)) this.#output.push(dataRow(row))
    if (this.#output.reduce((sum, { length }) => sum + length, 0) > BUFFER_BYTES) this.#flush()
    // PostgreSQL does not look for a row after the last one that was requested.
    const isSuspended = most > 0 && end - portal.sent === most
    portal.sent = end
    this.#output.push(isSuspended ? PORTAL_SUSPENDED : commandComplete(tag))
  }

  #fail(code: string, words: string): void {
    this.#output.push(errorResponse(code, words))
    if (this.#status === 'T') this.#status = 'E'
    // Only the extended protocol skips; the simple one is ready at once, and clears it.
    this.#skipsToSync = true
    this.#flush()
  }

  #ready(): void {
    this.#skipsToSync = false
    this.#output.push(readyForQuery(this.#status))
    this.#flush()
  }

  #flush(): void {
    if (this.#output.length > 0) this.#host.send(Buffer.concat(this.#output))
    this.#output = []
  }
}

function control(text: string, status: SessionStatus): ScriptedAnswer | undefined {
  const word = /^\s*(begin|commit|rollback|set|reset|discard|deallocate|listen|unlisten)\b/i.exec(text)?.[1]?.toUpperCase()
  return word ? { tag: word === 'COMMIT' && status === 'E' ? 'ROLLBACK' : word } : undefined
}

function statusAfter(text: string, status: SessionStatus): SessionStatus {
  if (/^\s*begin\b/i.test(text)) return 'T'
  return /^\s*(commit|rollback)\b/i.test(text) ? 'I' : status
}
