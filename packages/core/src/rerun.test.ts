import { expect, test } from 'vitest'
import { ConnectionLostError, OutcomeUnknownError, ReplicationUnconfirmedError } from './errors.ts'
import { causesOf, mayRerun, rerunReason } from './rerun.ts'

const lost = (outcome: 'not-executed' | 'unknown', reason: 'transaction-rolled-back' | 'read') =>
  new ConnectionLostError({ verdict: { outcome, reason }, message: 'lost', wire: {} })
const unknown = new OutcomeUnknownError({
  reason: 'commit-in-flight',
  message: 'lost',
  evidence: { statement: 'transaction', inTransaction: true, answered: false },
})
const wrapped = (cause: unknown, depth = 2): Error =>
  depth === 0 ? (cause as Error) : new Error('wrapped', { cause: wrapped(cause, depth - 1) })
const coded = (code: string) => Object.assign(new Error('said'), { code })

test.each<[string, unknown, string | undefined]>([
  ['a serialization failure', coded('40001'), 'conflict'],
  ['a deadlock', coded('40P01'), 'conflict'],
  ['one that an ORM has wrapped', wrapped(coded('40001')), 'conflict'],
  ['a lost connection', lost('not-executed', 'transaction-rolled-back'), 'lost'],
  ['a lost read', lost('unknown', 'read'), 'lost'],
  ['one that an ORM has wrapped', wrapped(lost('not-executed', 'transaction-rolled-back')), 'lost'],
  ['a refused write', coded('25006'), 'read-only'],
  ['one that an ORM has wrapped', wrapped(coded('25006')), 'read-only'],
  ['an unknown outcome', unknown, undefined],
  ['an unknown outcome by a lost connection', wrapped(Object.assign(unknown, { cause: coded('40001') })), undefined],
  [
    'what is stored, and may be lost',
    new ReplicationUnconfirmedError({ message: 'kept', cause: lost('not-executed', 'transaction-rolled-back') }),
    undefined,
  ],
  ['another error of the server', coded('23505'), undefined],
  ['an error of the application', new Error('no'), undefined],
  ['no error at all', undefined, undefined],
  ['a text', '40001', undefined],
])('%s', (_name, error, reason) => {
  expect(rerunReason(error)).toBe(reason)
})

test('causes that go round in a circle end', () => {
  const error = new Error('round')
  error.cause = new Error('and round', { cause: error })
  expect(causesOf(error)).toHaveLength(2)
})

test('a conflict needs tries that are left; a lost connection needs the budget too', () => {
  const facts = { reason: 'conflict', retriesLeft: 1, isOver: false, isPoolEnding: false, hasBudget: false } as const
  expect(mayRerun(facts)).toBe(true)
  expect(mayRerun({ ...facts, retriesLeft: 0 })).toBe(false)
  expect(mayRerun({ ...facts, isOver: true })).toBe(false)
  expect(mayRerun({ ...facts, isPoolEnding: true })).toBe(false)
  expect(mayRerun({ ...facts, reason: undefined })).toBe(false)
  expect(mayRerun({ ...facts, reason: 'lost' })).toBe(false)
  expect(mayRerun({ ...facts, reason: 'lost', hasBudget: true })).toBe(true)
  expect(mayRerun({ ...facts, reason: 'lost', hasBudget: true, hadSessionState: true })).toBe(false)
  expect(mayRerun({ ...facts, hadSessionState: true })).toBe(true)
  expect(mayRerun({ ...facts, reason: 'read-only' })).toBe(false)
  expect(mayRerun({ ...facts, reason: 'read-only', isStandby: true })).toBe(true)
})
