/** The history that `bench ledger --history` writes: what a judge of Jepsen's histories needs to find in it. */

import { expect, test } from 'vitest'
import type { LedgerEntry, Told } from './ledger-child.ts'
import { historyOf } from './ledger-history.ts'

const entry = (token: string, told: Told, began: number, kind: LedgerEntry['kind'] = 'once'): LedgerEntry => ({
  token,
  kind,
  told,
  began,
  millis: 5,
})

test('each call is one process with one beginning and one end, in the order of time; then what is in the table', () => {
  const entries = [entry('c', 'unknown', 30), entry('a', 'ok', 10), entry('b', 'not-executed', 12), entry('r', 'ok', 1, 'read')]
  const history = historyOf(entries, ['a', 'c'])
  expect(history.map(({ index }) => index)).toEqual(history.map((_, index) => index))
  expect(history.map(({ time }) => time)).toEqual(history.map(({ time }) => time).sort((one, other) => one - other))
  expect(history.map(({ type, value }) => `${type} ${value}`)).toEqual([
    'invoke a',
    'invoke b',
    'ok a',
    'fail b',
    'invoke c',
    'info c',
    'invoke null',
    'ok a,c',
  ])
  for (const { process, type } of history.filter((each) => each.type !== 'invoke'))
    expect(history.filter((each) => each.process === process).map((each) => each.type)).toEqual(['invoke', type])
})
