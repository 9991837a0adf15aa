import fc from 'fast-check'
import { expect, test } from 'vitest'
import { runs } from '../test/runs.ts'
import type { OutcomeVerdict } from './outcome.ts'
import { judgeResend, type Resend, type ResendFacts } from './resend.ts'

const UNSENT: OutcomeVerdict = { outcome: 'not-executed', reason: 'unsent' }
const ENDED: OutcomeVerdict = { outcome: 'not-executed', reason: 'ended-while-idle' }
const READ: OutcomeVerdict = { outcome: 'unknown', reason: 'read' }
const WRITE: OutcomeVerdict = { outcome: 'unknown', reason: 'write-in-flight' }
const DONE: OutcomeVerdict = { outcome: 'executed', reason: 'unreplicated' }

const plain: ResendFacts = {
  verdict: WRITE,
  isReplayable: true,
  wasInterrupted: false,
  isPoolEnding: false,
  retriesLeft: 2,
  hadSessionState: false,
  wasSecondTry: false,
  isIdempotent: false,
  mayAskForPooler: false,
}

const rows: readonly [sentence: string, facts: Partial<ResendFacts>, resend: Resend][] = [
  ['a write that was not sent goes again', { verdict: UNSENT }, 'as it is'],
  ['so does one that the server never read', { verdict: ENDED }, 'as it is'],
  ['a write that may be stored does not', {}, 'no'],
  ['unless it is declared harmless to repeat', { isIdempotent: true }, 'as it is'],
  ['or there may be proof of the contrary: ask', { mayAskForPooler: true }, 'ask first'],
  ['no question is asked about what only reads', { isIdempotent: true, mayAskForPooler: true }, 'as it is'],
  ['a read goes again where nothing can be changed', { verdict: READ }, 'inside READ ONLY'],
  ['a read that was not sent goes as it is', { verdict: UNSENT }, 'as it is'],
  ['what was executed is done, idempotent or not', { verdict: DONE, isIdempotent: true }, 'no'],
  ['a cursor has state of its own', { verdict: UNSENT, isReplayable: false }, 'no'],
  ['what was interrupted is no longer wanted', { verdict: UNSENT, wasInterrupted: true }, 'no'],
  ['a pool that ends sends nothing more', { verdict: UNSENT, isPoolEnding: true }, 'no'],
  ['three deaths are an outage', { verdict: UNSENT, retriesLeft: 0 }, 'no'],
  ['another session would not have the state that was left in this one', { verdict: UNSENT, hadSessionState: true }, 'no'],
  ['nor is anybody asked then', { mayAskForPooler: true, hadSessionState: true }, 'no'],
  ['a second try is the last', { verdict: READ, wasSecondTry: true }, 'no'],
  ['even if nothing of it remains', { verdict: { outcome: 'not-executed', reason: 'transaction-rolled-back' }, wasSecondTry: true }, 'no'],
  ['unless it never left', { verdict: UNSENT, wasSecondTry: true }, 'as it is'],
]

test.each(rows)('%s', (_, facts, resend) => {
  expect(judgeResend({ ...plain, ...facts })).toBe(resend)
})

test('nothing that may have had an effect goes again as it is, unless declared harmless', () => {
  const facts = fc.record({
    verdict: fc.constantFrom(UNSENT, ENDED, READ, WRITE, DONE),
    isReplayable: fc.boolean(),
    wasInterrupted: fc.boolean(),
    isPoolEnding: fc.boolean(),
    retriesLeft: fc.integer({ min: 0, max: 2 }),
    hadSessionState: fc.boolean(),
    wasSecondTry: fc.boolean(),
    isIdempotent: fc.boolean(),
    mayAskForPooler: fc.boolean(),
  })
  fc.assert(
    fc.property(facts, (known) => {
      const resend = judgeResend(known)
      const { outcome, reason } = known.verdict
      if (resend === 'as it is') expect(outcome === 'not-executed' || (outcome === 'unknown' && known.isIdempotent)).toBe(true)
      if (resend === 'inside READ ONLY') expect(reason).toBe('read')
      if (resend !== 'no') expect([known.isReplayable, known.wasInterrupted, known.isPoolEnding]).toEqual([true, false, false])
    }),
    runs(1000),
  )
})
