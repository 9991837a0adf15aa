/**
 * A server, and the wire to it, as far as it matters to writes that must be applied once. Messages wait on the wire until the schedule delivers or loses them; a session lives on
 * when its client has gone; a crash forgets what is not durable, and hands transaction ids out again.
 */

import type { Incarnation, KeyRow, XactStatus } from '../src/index.ts'

export type Request =
  | { readonly is: 'write'; readonly token: string }
  | { readonly is: 'commit' | 'who' | 'checkpoint' }
  | { readonly is: 'fence'; readonly session: number }
  | { readonly is: 'status'; readonly xid: bigint }
  | { readonly is: 'claim'; readonly key: string; readonly token: string; readonly generation?: number }
  | { readonly is: 'tombstone' | 'look'; readonly key: string }

/** `lost`: the connection was, before an answer came. */
export type Answer =
  | { readonly is: 'lost' | 'ok' | 'taken' }
  | { readonly is: 'written'; readonly xid: bigint; readonly who: Incarnation }
  | { readonly is: 'who'; readonly who: Incarnation; readonly isStandby: boolean }
  | { readonly is: 'status'; readonly status: XactStatus }
  | { readonly is: 'checkpoint'; readonly xid: bigint }
  | { readonly is: 'row'; readonly row: KeyRow | undefined }

/** What a planted fault leaves out of the server's side. */
export interface WorldFaults {
  readonly noUniqueKey?: boolean
  readonly noGeneration?: boolean
}

interface Session {
  readonly id: number
  readonly toServer: Request[]
  readonly toClient: Answer[]
  /** The server still serves it. */
  isServed: boolean
  /** The client still listens. */
  isHeard: boolean
  xid: bigint | undefined
  token: string | undefined
  /** COMMIT has begun: whether it passes a fence is decided already. */
  committing: 'no' | 'may be ended' | 'passes'
}

export class World {
  readonly rows: string[] = []
  readonly #keys = new Map<string, KeyRow>()
  readonly #faults: WorldFaults
  readonly #random: () => number
  readonly #sessions: Session[] = []
  readonly #status = new Map<bigint, XactStatus>()
  #who: Incarnation = { system: '1', timeline: '1', statsSince: '1', archiverStatsSince: '1', startedAt: '1' }
  #moments = 1
  #nextXid = 100n
  /** So many of the last commits a standby has not replayed yet. */
  #lag = 0
  #checkpointXid = 100n
  /** Of commits that are durable, in order: a standby may lack only the last ones, which no caller was told of. */
  #log: { readonly xid: bigint; readonly token: string; isTold: boolean }[] = []
  isStandby: boolean = false
  /** The server was replaced, or has lost its memory. */
  disasters: number = 0

  constructor(random: () => number, faults: WorldFaults) {
    this.#random = random
    this.#faults = faults
  }

  open(): number {
    const id = this.#sessions.length
    this.#sessions.push({
      id,
      toServer: [],
      toClient: [],
      isServed: true,
      isHeard: true,
      xid: undefined,
      token: undefined,
      committing: 'no',
    })
    return id
  }

  send(id: number, request: Request): void {
    this.#at(id).toServer.push(request)
  }

  /** What has come. Undefined: nothing yet. */
  hear(id: number): Answer | undefined {
    const session = this.#at(id)
    return session.isHeard ? session.toClient.shift() : { is: 'lost' }
  }

  #at(id: number): Session {
    return this.#sessions[id] as Session
  }

  /** Everything that can happen now. */
  happenings(mayHarm: boolean): (() => void)[] {
    const all: (() => void)[] = []
    for (const session of this.#sessions) {
      if (session.isServed && session.toServer.length > 0) all.push(() => this.#deliver(session))
      if (session.isServed && session.committing !== 'no') all.push(() => this.#finish(session))
      if (!mayHarm || !session.isHeard) continue
      // The client is told. What it has sent may come later all the same.
      if (this.#random() < 0.1) all.push(() => this.#cut(session, this.#random() < 0.5))
    }
    if (mayHarm) all.push(() => this.#stranger())
    if (mayHarm && this.#random() < 0.06) all.push(() => this.#crash())
    if (mayHarm && this.#random() < 0.02) all.push(() => this.#failover())
    if (mayHarm && this.#random() < 0.05) all.push(() => this.#resetStats())
    if (this.isStandby) all.push(() => this.#promote())
    return all
  }

  #cut(session: Session, losesRequests: boolean): void {
    session.isHeard = false
    if (losesRequests) session.toServer.length = 0
    // The server may notice, or keep the session for hours.
    if (this.#random() < 0.3) this.#end(session)
  }

  #end(session: Session): void {
    if (session.committing === 'passes') return
    if (session.xid !== undefined && this.#status.get(session.xid) === 'in progress') this.#status.set(session.xid, 'aborted')
    session.isServed = false
    session.toServer.length = 0
    session.committing = 'no'
  }

  #stranger(): void {
    this.#status.set(this.#nextXid++, 'committed')
  }

  #crash(): void {
    this.disasters++
    this.#endAll()
    // Recovery begins behind the newest id that is in the durable log; and ends with a checkpoint.
    const least = this.#afterDurable()
    while (this.#nextXid > least && this.#random() < 0.8) this.#nextXid--
    this.#forget()
    this.#checkpointXid = this.#nextXid
    const moment = this.#moment()
    this.#who = { ...this.#who, statsSince: moment, archiverStatsSince: moment }
    // Its postmaster starts the other processes again, or is started again itself.
    if (this.#random() < 0.5) this.#who = { ...this.#who, startedAt: moment }
    if (this.#random() < 0.7) for (let n = 0; n < 4; n++) this.#stranger()
  }

  /** By an administrator. The server is the same, and so are its sessions. */
  #resetStats(): void {
    if (this.#random() < 0.5) {
      this.#who = { ...this.#who, statsSince: this.#moment() }
      return
    }
    // Both: that cannot be told from a crash.
    this.disasters++
    this.#who = { ...this.#who, statsSince: this.#moment(), archiverStatsSince: this.#moment() }
    if (this.#random() < 0.3) this.#checkpointXid = this.#nextXid
  }

  #moment(): string {
    return `${++this.#moments}`
  }

  #afterDurable(): bigint {
    return this.#log.reduce((most, { xid }) => (xid >= most ? xid + 1n : most), this.#checkpointXid)
  }

  /** A standby that has every commit a caller was told of, and may lack the last ones, which no caller was. At first it only takes reads. */
  #failover(): void {
    this.disasters++
    this.#endAll()
    const old = this.#checkpointXid
    while (this.#log.length > 0 && this.#log.at(-1)?.isTold === false && this.#random() < 0.5) {
      const lost = this.#log.pop()
      this.rows.splice(this.rows.lastIndexOf(lost?.token ?? ''), 1)
      // It was in progress when the standby took over: what it does not have, it has rolled back.
      this.#status.delete(lost?.xid ?? 0n)
    }
    this.#nextXid = this.#afterDurable()
    this.#forget()
    this.#checkpointXid = old
    const next = `${this.disasters + 1}`
    const moment = this.#moment()
    this.#who = { system: '1', timeline: next, statsSince: moment, archiverStatsSince: moment, startedAt: moment }
    this.isStandby = this.#random() < 0.5
    this.#lag = this.isStandby ? Math.floor(this.#random() * 3) : 0
  }

  #promote(): void {
    this.isStandby = false
    this.#lag = 0
    for (let n = 0; n < 3; n++) this.#stranger()
  }

  #endAll(): void {
    for (const session of this.#sessions) {
      session.committing = 'no'
      this.#end(session)
      session.isHeard = false
    }
  }

  #forget(): void {
    for (const xid of this.#status.keys()) if (xid >= this.#nextXid) this.#status.delete(xid)
  }

  #finish(session: Session): void {
    const { xid, token } = session
    session.committing = 'no'
    session.xid = undefined
    if (xid === undefined || token === undefined) return
    this.#status.set(xid, 'committed')
    this.rows.push(token)
    const entry = { xid, token, isTold: false }
    this.#log.push(entry)
    session.toClient.push({ is: 'ok' })
    entry.isTold = session.isHeard
  }

  #deliver(session: Session): void {
    const request = session.toServer.shift() as Request
    if (this.isStandby && ['write', 'claim', 'tombstone'].includes(request.is)) return this.#cut(session, true)
    const answer = this.#answer(session, request)
    if (answer) session.toClient.push(answer)
  }

  #answer(session: Session, request: Request): Answer | undefined {
    switch (request.is) {
      case 'write': {
        session.xid = this.#nextXid++
        session.token = request.token
        this.#status.set(session.xid, 'in progress')
        return { is: 'written', xid: session.xid, who: this.#who }
      }
      case 'commit':
        session.committing = this.#random() < 0.5 ? 'passes' : 'may be ended'
        return undefined
      case 'who':
        return { is: 'who', who: this.#who, isStandby: this.isStandby }
      case 'checkpoint':
        return { is: 'checkpoint', xid: this.#checkpointXid }
      case 'fence':
        this.#end(this.#at(request.session))
        return { is: 'ok' }
      case 'status':
        // A caller that hears it has been told: what callers were told is not lost by a failover in this world, which waits for its standby.
        for (const entry of this.#log) if (entry.xid === request.xid) entry.isTold = true
        if (this.#log.slice(this.#log.length - this.#lag).some(({ xid }) => xid === request.xid))
          return { is: 'status', status: 'in the future' }
        return { is: 'status', status: this.#status.get(request.xid) ?? (request.xid >= this.#nextXid ? 'in the future' : 'aborted') }
      case 'look':
        return { is: 'row', row: this.#keys.get(request.key) }
      case 'tombstone':
        return { is: 'row', row: this.#bury(request.key) }
      case 'claim':
        return this.#claim(request)
    }
  }

  #bury(key: string): KeyRow {
    const row = this.#keys.get(key)
    if (row?.state === 'done') return row
    const buried: KeyRow = { state: 'void', fingerprint: 'f', generation: (row?.generation ?? 0) + 1 }
    this.#keys.set(key, buried)
    return buried
  }

  #claim({ key, token, generation }: Extract<Request, { is: 'claim' }>): Answer {
    const row = this.#keys.get(key)
    const isFree = row === undefined || this.#faults.noUniqueKey === true
    const isMine =
      row?.state === 'void' && (row.generation === generation || (this.#faults.noGeneration === true && generation !== undefined))
    if (generation === undefined ? !isFree : !isMine) return { is: 'taken' }
    this.#keys.set(key, { state: 'done', fingerprint: 'f', generation: generation ?? 1 })
    this.rows.push(token)
    return { is: 'ok' }
  }
}
