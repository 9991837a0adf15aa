/**
 * Writes that must be applied once, in {@link World}: the pool's order of steps in front of core's own rules, which are called and not copied. A schedule is a seed. `faults` are
 * planted: each leaves one rule out, and must be found.
 */

import {
  type CommitEvidence,
  type CommitVerdict,
  ConnectionLostError,
  type Incarnation,
  isSameIncarnation,
  isSamePostmaster,
  judgeCommit,
  judgeKey,
  type KeyRow,
  mayRerun,
  OutcomeUnknownError,
  rerunReason,
} from '../src/index.ts'
import { type Answer, type Request, World, type WorldFaults } from './once-world.ts'

/** What a planted fault leaves out. */
export interface OnceFaults extends WorldFaults {
  /** The old backend is not ended before it is asked after. */
  readonly noFence?: boolean
  /** What is still in progress is taken for what will never be stored. */
  readonly impatient?: boolean
  /** The server is taken for the one that it was. */
  readonly noIncarnation?: boolean
  /** New statistics are taken for a crash, though an administrator may have reset them. */
  readonly resetIsCrash?: boolean
  /** Whatever is committed is taken for ours. */
  readonly trustsCommitted?: boolean
  /** A checkpoint is believed on another timeline, too. */
  readonly noTimeline?: boolean
  /** A standby is believed. */
  readonly trustsStandby?: boolean
  /** Lost at COMMIT: once more, without asking. */
  readonly retriesBlindly?: boolean
  /** The key is looked for, and nothing is put in its place. */
  readonly noTombstone?: boolean
}

type Told = 'done' | 'not-executed' | 'unknown'

/** One wait: what is asked, of which session. */
interface Asked {
  readonly session: number
  readonly request: Request
}

type Steps<Result> = Generator<Asked | 'pause', Result, Answer>

const MOST_TRIES = 3
const MOST_QUESTIONS = 12
/** Then nothing breaks any more: what is under way ends, and what is on the wire arrives. */
const HARMFUL_STEPS = 60
const MOST_STEPS = 4_000

function* ask(session: number, request: Request): Steps<Answer> {
  return yield { session, request }
}

function* transaction(world: World, token: string, faults: OnceFaults): Steps<Told> {
  for (let tries = 0; ; tries++) {
    const error = yield* attempt(world, token, faults)
    if (!error) return 'done'
    const reason = rerunReason(error)
    if (mayRerun({ reason, retriesLeft: MOST_TRIES - tries, isOver: false, isPoolEnding: false, hasBudget: true })) continue
    return error instanceof OutcomeUnknownError ? 'unknown' : 'not-executed'
  }
}

function* attempt(world: World, token: string, faults: OnceFaults): Steps<Error | undefined> {
  const session = world.open()
  const written = yield* ask(session, { is: 'write', token })
  if (written.is !== 'written') return lost()
  const committed = yield* ask(session, { is: 'commit' })
  if (committed.is === 'ok') return undefined
  if (faults.retriesBlindly) return lost()
  const { outcome } = yield* settle(world, session, written.xid, written.who, faults)
  if (outcome === 'executed') return undefined
  return outcome === 'not-executed' ? lost() : unknown()
}

function* settle(world: World, session: number, xid: bigint, before: Incarnation, faults: OnceFaults): Steps<CommitVerdict> {
  let last: CommitVerdict = { outcome: 'unknown', reason: 'still-in-progress', mayChange: true }
  for (let questions = 0; last.mayChange && questions < MOST_QUESTIONS; questions++) {
    const evidence = yield* gather(world, session, xid, before, faults)
    if (evidence) last = judged(evidence, faults)
    yield 'pause'
  }
  return last
}

/** Undefined: the connection was lost meanwhile. */
function* gather(world: World, session: number, xid: bigint, before: Incarnation, faults: OnceFaults): Steps<CommitEvidence | undefined> {
  const other = world.open()
  const who = yield* ask(other, { is: 'who' })
  if (who.is !== 'who') return undefined
  const now = faults.noIncarnation ? before : who.who
  const isStandby = who.isStandby && !faults.trustsStandby
  if (isStandby) return { xid, before, now, isStandby, status: undefined, checkpointXid: undefined }
  if (isSamePostmaster(before, now) && !faults.noFence) yield* ask(other, { is: 'fence', session })
  const status = yield* ask(other, { is: 'status', xid })
  if (status.is !== 'status') return undefined
  const checkpoint = yield* ask(other, { is: 'checkpoint' })
  if (checkpoint.is !== 'checkpoint') return undefined
  return { xid, before, now, isStandby, status: status.status, checkpointXid: checkpoint.xid }
}

function judged(evidence: CommitEvidence, faults: OnceFaults): CommitVerdict {
  const { now, before, status, xid, checkpointXid } = evidence
  if (faults.impatient && status === 'in progress') return { outcome: 'not-executed', reason: 'aborted', mayChange: false }
  if (faults.trustsCommitted && status === 'committed') return { outcome: 'executed', reason: 'committed', mayChange: false }
  const isBehind = checkpointXid !== undefined && typeof xid === 'bigint' && checkpointXid <= xid
  const isOther = now && before && !isSameIncarnation(before, now)
  if (faults.resetIsCrash && isOther && before.timeline === now.timeline) {
    if (status !== 'committed') return { outcome: 'not-executed', reason: 'never-durable', mayChange: false }
    if (isBehind) return { outcome: 'not-executed', reason: 'xid-given-again', mayChange: false }
  }
  if (faults.noTimeline && isOther && before.timeline !== now.timeline && status === 'committed' && isBehind)
    return { outcome: 'not-executed', reason: 'xid-given-again', mayChange: false }
  return judgeCommit(evidence)
}

function* keyed(world: World, token: string, mostSends: number, faults: OnceFaults): Steps<Told> {
  let row: KeyRow | undefined
  for (let sends = 0; ; sends++) {
    const next = judgeKey(row, 'f')
    if (next.step === 'repeated') return 'done'
    if (sends >= mostSends) return 'not-executed'
    const generation = next.step === 'take over' ? { generation: next.generation } : {}
    const session = world.open()
    const answer = yield* ask(session, { is: 'claim', key: token, token, ...generation })
    if (answer.is === 'ok') return 'done'
    const question = answer.is === 'taken' || faults.noTombstone ? 'look' : 'tombstone'
    let found: Answer = { is: 'lost' }
    for (let questions = 0; found.is === 'lost' && questions < MOST_QUESTIONS; questions++)
      found = yield* ask(world.open(), { is: question, key: token })
    if (found.is !== 'row') return 'unknown'
    row = found.row
  }
}

function lost(): Error {
  return new ConnectionLostError({ verdict: { outcome: 'not-executed', reason: 'transaction-rolled-back' }, message: 'lost', wire: {} })
}

function unknown(): Error {
  const evidence = { statement: 'transaction', inTransaction: true, answered: false } as const
  return new OutcomeUnknownError({ reason: 'commit-in-flight', message: 'lost', evidence })
}

interface Call {
  readonly token: string
  readonly steps: Steps<Told>
  waitsFor: Asked | 'pause' | undefined
  told?: Told
}

/** Runs one schedule. Returns what was wrong, one line each. */
export function runSchedule(seed: number, faults: OnceFaults = {}): string[] {
  const random = createRandom(seed)
  const world = new World(random, faults)
  const calls: Call[] = ['t1', 't2'].map((token) => ({ token, steps: transaction(world, token, faults), waitsFor: undefined }))
  // Two callers with one key; and one who gives up soon, and must then be told the truth.
  for (const [token, mostSends] of [
    ['k1', 4],
    ['k1', 4],
    ['alone', 2],
  ] as const)
    calls.push({ token, steps: keyed(world, token, mostSends, faults), waitsFor: undefined })
  for (const call of calls) proceed(world, call, undefined)
  for (let step = 0; step < MOST_STEPS; step++) {
    const possible = [...world.happenings(step < HARMFUL_STEPS), ...calls.flatMap((call) => resumption(world, call))]
    if (possible.length === 0) break
    possible[Math.floor(random() * possible.length)]?.()
  }
  return calls.flatMap((call) => wrong(world, call))
}

/** A process that is frozen is one that the schedule passes over for long. */
function resumption(world: World, call: Call): (() => void)[] {
  const { waitsFor } = call
  if (call.told || !waitsFor) return []
  if (waitsFor === 'pause') return [() => proceed(world, call, { is: 'ok' })]
  return [
    () => {
      const answer = world.hear(waitsFor.session)
      if (answer) proceed(world, call, answer)
    },
  ]
}

function proceed(world: World, call: Call, answer: Answer | undefined): void {
  const { value, done } = call.steps.next(answer as Answer)
  if (done) {
    call.told = value
    call.waitsFor = undefined
    return
  }
  call.waitsFor = value
  if (value !== 'pause') world.send(value.session, value.request)
}

function wrong({ rows, disasters }: World, { token, told }: Call): string[] {
  const count = rows.filter((row) => row === token).length
  if (told === undefined) return [`${token} hangs`]
  if (count > 1) return [`${token} is written ${count} times`]
  if (told === 'done' && count === 0) return [`${token} was told done, and is missing`]
  // If another caller stores the key, the one that gave up was told the truth at the time.
  if (told === 'not-executed' && count > 0 && !token.startsWith('k')) return [`${token} was told not executed, and is there`]
  return told === 'unknown' && disasters === 0 ? [`${token} was told unknown, though the server stayed up`] : []
}

/** Mulberry32. */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
