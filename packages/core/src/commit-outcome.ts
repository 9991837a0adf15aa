/**
 * What became of a transaction whose COMMIT was sent and never answered? One ladder, read top to bottom: the first line that applies wins. `pg_xact_status` alone
 * lies: after a crash, transaction ids that were not yet durable are handed out again, and "committed" may be said of a stranger. So the incarnation of the server
 * is asked first, and the old backend is fenced, so that its COMMIT cannot arrive later.
 */

import type { Outcome } from './outcome.ts'

/** A server between two moments at which it may forget transaction ids. All parts are opaque: they are compared, and nothing else. */
export interface Incarnation {
  /** Of the cluster: `pg_control_system()`. */
  readonly system: string
  /** Changes with each promotion and each restore to a point in time. */
  readonly timeline: string
  /** When the server's statistics of two kinds began. A crash throws both away, and does not change when the postmaster began. An administrator may reset either. */
  readonly statsSince: string
  readonly archiverStatsSince: string
  /** When the postmaster began. */
  readonly startedAt: string
}

/** What the server says of a transaction id. `in the future`: it has not been handed out. `too old`: the server no longer keeps what became of it. */
export type XactStatus = 'committed' | 'aborted' | 'in progress' | 'in the future' | 'too old'

/** What is known of the lost COMMIT. */
export interface CommitEvidence {
  /** Null: the server said that the transaction had been given none, so it had nothing to store. Undefined: it could not be asked. */
  readonly xid: bigint | null | undefined
  /** The server that it was sent to. Undefined: it could not be asked. */
  readonly before: Incarnation | undefined
  /** The server that is asked now. Undefined: it cannot be asked. */
  readonly now: Incarnation | undefined
  /** Who is asked now follows another server. */
  readonly isStandby: boolean
  /** Undefined: it has no function for that. */
  readonly status: XactStatus | undefined
  /** From which transaction id the last checkpoint counts on. Undefined: not asked. */
  readonly checkpointXid: bigint | undefined
  /** False: the server has synchronous standbys, and they have not confirmed what is committed. The fence ends COMMIT's wait for them. Default: they have, or there are none. */
  readonly isReplicated?: boolean | undefined
}

/** Which line of the ladder applied. */
export type CommitReason =
  | 'nothing-to-store'
  | 'xid-not-known'
  | 'server-not-known'
  | 'standby'
  | 'no-functions'
  | 'another-system'
  | 'too-old'
  | 'committed'
  | 'unreplicated'
  | 'aborted'
  | 'still-in-progress'
  | 'never-durable'
  | 'xid-given-again'
  | 'xid-may-be-anothers'

export interface CommitVerdict {
  readonly outcome: Outcome
  readonly reason: CommitReason
  /** The answer may be better in a moment: once the backend has ended, or the primary is found. */
  readonly mayChange: boolean
}

/** Weighs the evidence. `in progress` on the same server says that the backend has not ended yet: it has been fenced, so ask again. */
export function judgeCommit({ xid, before, now, isStandby, status, checkpointXid, isReplicated }: CommitEvidence): CommitVerdict {
  // What has been given no id has changed nothing: stored or not, there is no difference.
  if (xid === null) return executed('nothing-to-store')
  if (xid === undefined) return unknown('xid-not-known')
  if (!before) return unknown('server-not-known')
  // It may be behind: what it has not replayed yet looks like what never was.
  if (isStandby) return unknown('standby', true)
  if (!now || status === undefined) return unknown('no-functions')
  if (now.system !== before.system) return unknown('another-system')
  if (status === 'too old') return unknown('too-old')
  if (isSameIncarnation(before, now)) return judgeOnSame(status, isReplicated)
  // All statistics are new: a crash, or an administrator's reset of a server that is still the same. Then the transaction may be at work, and "committed" may be true.
  if (isSamePostmaster(before, now)) {
    if (status === 'committed') return unknown('xid-may-be-anothers')
    if (status === 'in progress') return unknown('still-in-progress', true)
  }
  // A durable commit of ours would have kept the number taken, so a transaction that has it now is another.
  if (status !== 'committed') return notExecuted('never-durable')
  // Recovery ends with a checkpoint before it lets sessions in: what lies behind it was handed out since. But a promoted standby lets them in before.
  if (now.timeline === before.timeline && checkpointXid !== undefined && checkpointXid <= xid) return notExecuted('xid-given-again')
  return unknown('xid-may-be-anothers')
}

/** Has the server kept every transaction id between the two? */
export function isSameIncarnation(one: Incarnation, other: Incarnation): boolean {
  const hasOldStats = one.statsSince === other.statsSince || one.archiverStatsSince === other.archiverStatsSince
  return hasOldStats && isSamePostmaster(one, other)
}

/** It may have crashed meanwhile, or may not: a backend of then may still be at work. */
export function isSamePostmaster(one: Incarnation, other: Incarnation): boolean {
  return one.system === other.system && one.timeline === other.timeline && one.startedAt === other.startedAt
}

/** A server that answers in another's place. Null: it does not tell; the timeline, because it is a standby. */
export interface Successor {
  readonly system: string | null
  readonly timeline: string | null
  readonly startedAt: string
}

/**
 * Is the server of a session gone, or out of date, because this one is there? One data directory has one postmaster, which starts only when no backend of the one before is left, and a promotion changes
 * the timeline: so of two primaries of one system and timeline the later is the same server, restarted. One that was there before the session began is another (a copy, a node of a cluster that is no PostgreSQL).
 * What a server of an earlier timeline still does is lost.
 */
export function hasReplaced(now: Successor, before: Incarnation, sessionStartedAt: string): boolean {
  if (now.system !== before.system || now.timeline === null) return false
  // Eight digits each; and the moments are of one length, too.
  return now.timeline === before.timeline ? now.startedAt > sessionStartedAt : now.timeline > before.timeline
}

function judgeOnSame(status: XactStatus, isReplicated: boolean | undefined): CommitVerdict {
  if (status === 'committed') return executed(isReplicated === false ? 'unreplicated' : 'committed')
  if (status === 'aborted') return notExecuted('aborted')
  // It was handed out by this very server: what it says now contradicts that, and nothing follows from a contradiction.
  if (status === 'in the future') return unknown('server-not-known')
  return unknown('still-in-progress', true)
}

function executed(reason: CommitReason): CommitVerdict {
  return { outcome: 'executed', reason, mayChange: false }
}

function notExecuted(reason: CommitReason): CommitVerdict {
  return { outcome: 'not-executed', reason, mayChange: false }
}

function unknown(reason: CommitReason, mayChange = false): CommitVerdict {
  return { outcome: 'unknown', reason, mayChange }
}
