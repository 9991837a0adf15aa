import { expect, test } from 'vitest'
import type { Call } from './call.ts'
import { tally } from './figures.ts'

const placed: Call = {
  event: { action: 'place', id: 'one', item: 'tea' },
  wasSent: false,
  startedAtMillis: 0,
  waitMillis: 10,
  failure: undefined,
  isCapped: false,
}
const pair: Call = { ...placed, event: { action: 'place-all', id: 'two', items: ['rice', 'salt'] } }

test('a row that is there twice is counted once, whatever its caller was told', () => {
  const stored = [{ token: 'one', line: 1, copies: 2 }]
  expect(tally([placed], stored, [])).toMatchObject({ rowsTwice: 1, rowsMissing: 0 })
  expect(tally([{ ...placed, failure: 'lost', wasSent: true }], stored, [])).toMatchObject({ rowsTwice: 1, unknown: 1, failed: 0 })
})

test('rows of confirmed orders must be there, each line of them', () => {
  expect(tally([placed, pair], [{ token: 'two', line: 2, copies: 1 }], [])).toMatchObject({ rowsMissing: 2, rowsTwice: 0 })
})

test('an order that failed may be missing', () => {
  expect(tally([{ ...placed, failure: 'refused' }], [], [])).toMatchObject({
    failed: 1,
    unknown: 0,
    rowsMissing: 0,
    errors: { refused: 1 },
  })
})

test('only a call that failed after its statement was sent is excused', () => {
  const lost = { ...placed, failure: 'lost', wasSent: true }
  expect(tally([lost, { ...placed, wasSent: true }, { ...lost, wasSent: false }], [], [])).toMatchObject({
    calls: 3,
    failed: 1,
    unknown: 1,
  })
})

test('errors that no code could catch are crashes, and are named', () => {
  const uncaught = [{ origin: 'uncaughtException' as const, error: new Error('read ECONNRESET') }]
  expect(tally([], [], uncaught)).toMatchObject({ crashes: 1, errors: { 'uncaught: read ECONNRESET': 1 } })
})
