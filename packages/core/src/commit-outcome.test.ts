import { expect, test } from 'vitest'
import { type CommitEvidence, type Incarnation, judgeCommit } from './commit-outcome.ts'

const BEFORE: Incarnation = { system: '7', timeline: '00000001', statsSince: '1', archiverStatsSince: '1', startedAt: '1' }
const NEW_STATS: Partial<Incarnation> = { statsSince: '2', archiverStatsSince: '2' }
const SAME: CommitEvidence = { xid: 700n, before: BEFORE, now: BEFORE, isStandby: false, status: 'committed', checkpointXid: undefined }

test.each<[string, Partial<CommitEvidence>, string, string]>([
  ['the same server says committed', {}, 'executed', 'committed'],
  ['and its standbys have it', { isReplicated: true }, 'executed', 'committed'],
  ['and its standbys have not confirmed it', { isReplicated: false }, 'executed', 'unreplicated'],
  ['the same server says aborted', { status: 'aborted' }, 'not-executed', 'aborted'],
  ['the backend is still at work', { status: 'in progress' }, 'unknown', 'still-in-progress'],
  ['the server no longer keeps it', { status: 'too old' }, 'unknown', 'too-old'],
  ['it had written nothing', { xid: null, before: undefined, now: undefined, status: undefined }, 'executed', 'nothing-to-store'],
  ['the id never came', { xid: undefined }, 'unknown', 'xid-not-known'],
  ['who the server was never came', { before: undefined }, 'unknown', 'server-not-known'],
  ['a standby answers, and says aborted', { isStandby: true, status: 'aborted' }, 'unknown', 'standby'],
  ['there are no functions', { status: undefined }, 'unknown', 'no-functions'],
  ['another cluster answers', { now: { ...BEFORE, system: '8' }, status: 'aborted' }, 'unknown', 'another-system'],
  ['the same server has never heard of it', { status: 'in the future' }, 'unknown', 'server-not-known'],
])('%s', (_name, change, outcome, reason) => {
  expect(judgeCommit({ ...SAME, ...change })).toMatchObject({ outcome, reason })
})

test.each<[string, Partial<Incarnation>]>([
  ['crashed, and was started again', { ...NEW_STATS, startedAt: '2' }],
  ['was restarted', { startedAt: '2' }],
  ['was replaced by its standby', { ...NEW_STATS, timeline: '00000002', startedAt: '2' }],
])('a server that %s: what is not committed was never durable, and committed may be said of a stranger', (_name, change) => {
  const evidence = { ...SAME, now: { ...BEFORE, ...change } }
  for (const status of ['aborted', 'in progress', 'in the future'] as const)
    expect(judgeCommit({ ...evidence, status })).toMatchObject({ outcome: 'not-executed', reason: 'never-durable' })
  expect(judgeCommit(evidence)).toMatchObject({ outcome: 'unknown', reason: 'xid-may-be-anothers' })
})

test('after a crash, an id at or behind the last checkpoint was given again; on another timeline that proves nothing', () => {
  const crashed = { ...SAME, now: { ...BEFORE, ...NEW_STATS, startedAt: '2' } }
  for (const checkpointXid of [699n, 700n])
    expect(judgeCommit({ ...crashed, checkpointXid })).toMatchObject({ outcome: 'not-executed', reason: 'xid-given-again' })
  expect(judgeCommit({ ...crashed, checkpointXid: 701n })).toMatchObject({ outcome: 'unknown' })
  expect(judgeCommit({ ...crashed, now: { ...BEFORE, timeline: '00000002' }, checkpointXid: 1n })).toMatchObject({ outcome: 'unknown' })
})

test.each<[string, Partial<Incarnation>]>([
  ['statsSince', { statsSince: '2' }],
  ['archiverStatsSince', { archiverStatsSince: '2' }],
])('a server whose statistics were reset in part (%s) has not crashed', (_name, change) => {
  expect(judgeCommit({ ...SAME, now: { ...BEFORE, ...change }, checkpointXid: 1n })).toMatchObject({ outcome: 'executed' })
})

test('where all statistics are new, but not the postmaster, it has crashed or not: only what certainly is not stored is told so', () => {
  const either = { ...SAME, now: { ...BEFORE, ...NEW_STATS }, checkpointXid: 1n }
  expect(judgeCommit(either)).toMatchObject({ outcome: 'unknown', reason: 'xid-may-be-anothers' })
  expect(judgeCommit({ ...either, status: 'in progress' })).toMatchObject({ outcome: 'unknown', mayChange: true })
  for (const status of ['aborted', 'in the future'] as const)
    expect(judgeCommit({ ...either, status })).toMatchObject({ outcome: 'not-executed' })
})

test('only what may change is asked again', () => {
  expect(judgeCommit({ ...SAME, status: 'in progress' }).mayChange).toBe(true)
  expect(judgeCommit({ ...SAME, isStandby: true }).mayChange).toBe(true)
  expect(judgeCommit({ ...SAME, now: { ...BEFORE, ...NEW_STATS, startedAt: '2' } }).mayChange).toBe(false)
})
