import { describe, expect, test } from 'vitest'
import { mayEndTransaction } from './by-hand.ts'
import { hingesOnDirectness, judgeLoss, type LossEvidence } from './outcome.ts'
import { classifyStatement } from './statement.ts'

/** An INSERT by the extended protocol, sent outside of a transaction, and no word since. */
function evidence(text = 'INSERT INTO t VALUES ($1)', more: Partial<LossEvidence> = {}): LossEvidence {
  return {
    statement: classifyStatement(text),
    isUnsent: false,
    status: 'I',
    mayEnd: mayEndTransaction(text),
    isExtended: true,
    fatalSqlstate: undefined,
    isFirstWord: false,
    isDirect: true,
    isUnreplicated: false,
    ...more,
  }
}

const FIRST_57P01 = { fatalSqlstate: '57P01', isFirstWord: true } as const

describe('outside of a transaction', () => {
  test.each<[string, Partial<LossEvidence>, string, string]>([
    ['SELECT 1', {}, 'unknown', 'read'],
    ['INSERT INTO t VALUES (1)', {}, 'unknown', 'write-in-flight'],
    ['INSERT INTO t VALUES (1)', { isUnsent: true }, 'not-executed', 'unsent'],
    ['INSERT INTO t VALUES (1)', { fatalSqlstate: '57P05' }, 'not-executed', 'ended-while-idle'],
    ['INSERT INTO t VALUES (1)', { fatalSqlstate: '25P04' }, 'not-executed', 'transaction-timeout'],
    ['CALL p()', { fatalSqlstate: '25P04' }, 'unknown', 'write-in-flight'],
    ['INSERT INTO t VALUES (1)', FIRST_57P01, 'not-executed', 'ended-before-start'],
    ['INSERT INTO t VALUES (1)', { ...FIRST_57P01, fatalSqlstate: '57P02' }, 'not-executed', 'ended-before-start'],
    ['INSERT INTO t VALUES (1)', { ...FIRST_57P01, isExtended: false }, 'not-executed', 'ended-before-start'],
    ['INSERT INTO t VALUES (1)', { ...FIRST_57P01, isFirstWord: false }, 'unknown', 'write-in-flight'],
    ['INSERT INTO t VALUES (1)', { ...FIRST_57P01, isDirect: false }, 'unknown', 'write-in-flight'],
    ['CALL p()', FIRST_57P01, 'not-executed', 'ended-before-start'],
    ['CALL p()', { ...FIRST_57P01, isExtended: false }, 'unknown', 'write-in-flight'],
    ['DO $$ $$', { ...FIRST_57P01, isExtended: false }, 'unknown', 'write-in-flight'],
    ['INSERT INTO t VALUES (1); SELECT 1', { ...FIRST_57P01, isExtended: false }, 'unknown', 'write-in-flight'],
    ['BEGIN', {}, 'not-executed', 'nothing-durable'],
    ['BEGIN', { isAstray: true }, 'unknown', 'write-in-flight'],
    ['SELECT 1', { isAstray: true }, 'unknown', 'read'],
    ["COMMIT PREPARED 'a'", {}, 'unknown', 'commit-in-flight'],
    ['INSERT INTO t VALUES (1)', { isUnreplicated: true }, 'executed', 'unreplicated'],
    // The first of its commits; what of the others?
    ['CALL p()', { isUnreplicated: true }, 'unknown', 'write-in-flight'],
    ['BEGIN; INSERT INTO t VALUES (1); COMMIT; INSERT INTO t VALUES (2)', { isUnreplicated: true }, 'unknown', 'write-in-flight'],
  ])('%s, %o', (text, more, outcome, reason) => {
    expect(judgeLoss(evidence(text, more))).toEqual({ outcome, reason })
  })
})

describe('inside a transaction', () => {
  test.each<[string, LossEvidence['status'], string, string]>([
    ['SELECT 1', 'T', 'not-executed', 'transaction-rolled-back'],
    ['INSERT INTO t VALUES (1)', 'T', 'not-executed', 'transaction-rolled-back'],
    ['ROLLBACK', 'T', 'not-executed', 'transaction-rolled-back'],
    ['SAVEPOINT a', 'T', 'not-executed', 'transaction-rolled-back'],
    ['COMMIT', 'T', 'unknown', 'commit-in-flight'],
    ['end', 'T', 'unknown', 'commit-in-flight'],
    ["PREPARE TRANSACTION 'a'", 'T', 'unknown', 'commit-in-flight'],
    ['SELECT 1; COMMIT', 'T', 'unknown', 'write-in-flight'],
    ['what is this', 'T', 'unknown', 'write-in-flight'],
    ['ROLLBACK; INSERT INTO t VALUES (1)', 'T', 'unknown', 'write-in-flight'],
    ['INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)', 'T', 'not-executed', 'transaction-rolled-back'],
    ['ROLLBACK TO a; INSERT INTO t VALUES (2)', 'T', 'not-executed', 'transaction-rolled-back'],
    ['DO $$ BEGIN COMMIT; END $$', 'T', 'not-executed', 'transaction-rolled-back'],
    ['CALL p()', 'T', 'not-executed', 'transaction-rolled-back'],
    ["INSERT INTO t VALUES ('C:\\')", 'T', 'not-executed', 'transaction-rolled-back'],
    ["INSERT INTO t VALUES ('C:\\'); COMMIT", 'T', 'unknown', 'write-in-flight'],
    ['INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)', 'E', 'not-executed', 'transaction-failed'],
    ['COMMIT', 'E', 'not-executed', 'transaction-failed'],
    ['ROLLBACK; INSERT INTO t VALUES (1)', 'E', 'unknown', 'write-in-flight'],
  ])('%s (%s)', (text, status, outcome, reason) => {
    expect(judgeLoss(evidence(text, { status }))).toEqual({ outcome, reason })
  })
})

test('it is worth asking whether there is a pooler only where the answer would decide', () => {
  expect(hingesOnDirectness(evidence(undefined, { ...FIRST_57P01, isDirect: false }))).toBe(true)
  expect(hingesOnDirectness(evidence(undefined, FIRST_57P01))).toBe(false)
  expect(hingesOnDirectness(evidence(undefined, { isDirect: false }))).toBe(false)
})
