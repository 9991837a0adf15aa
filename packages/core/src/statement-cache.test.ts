import { expect, test } from 'vitest'
import { classifyStatement, type Statement } from './statement.ts'
import { createStatementCache } from './statement-cache.ts'

const texts = (count: number) => Array.from({ length: count }, (_, index) => `select ${index}`)
const LONG = `select '${'x'.repeat(4000)}'`

test('it says the same, and remembers it', () => {
  const cache = createStatementCache()
  expect(cache('select 1')).toEqual(classifyStatement('select 1'))
  expect(cache('select 1')).toBe(cache('select'.concat(' 1')))
})

test('it forgets what was not asked for in two generations, and never remembers what is long', () => {
  const cache = createStatementCache(2)
  const [first, second]: Statement[] = [cache('select 1'), cache('select 2')]
  expect(cache('select 1')).toBe(first)
  cache('select 3')
  expect(cache('select 1')).toBe(first)
  expect(cache('select 2')).not.toBe(second)
  expect(cache(LONG)).not.toBe(cache(LONG))
})

test('what the server has refused where nothing may be written is no read any more', () => {
  const cache = createStatementCache()
  expect(cache('select n from watched').kind).toBe('read')
  cache.isNoRead('select n from watched')
  expect(cache('select n from watched').kind).toBe('write')
})

test.each([
  [600, 1000, 0.8],
  [500, 1000, 1],
])('%i texts in turn, where %i fit: known nearly always', (count, limit, share) => {
  const cache = createStatementCache(limit)
  let known = new Map<string, Statement>()
  let hits = 0
  for (let round = 0; round < 10; round++) {
    const now = new Map(texts(count).map((text) => [text, cache(text)]))
    for (const [text, statement] of now) if (known.get(text) === statement) hits++
    known = now
  }
  expect(hits / (9 * count)).toBeGreaterThanOrEqual(share)
})

test.each<[text: string, leaves: boolean]>([
  ['select 1', false],
  ['insert into t values (1)', false],
  ['set a = 1', true],
  ['-- x\nlisten a', true],
  ["select 'set a'", false],
  ['select temp from t', false],
  ['create temp table t (a int)', true],
  [LONG, false],
  [`${LONG}; set a = 1`, true],
])('%s leaves something in the session: %s, however often it is asked', (text, leaves) => {
  const cache = createStatementCache()
  expect([cache.leavesState(text), cache.leavesState(text)]).toEqual([leaves, leaves])
  expect(cache(text).kind).toBe(classifyStatement(text).kind)
  expect(cache.leavesState(text)).toBe(leaves)
})

test('a text that is not understood leaves nothing, if it has none of the words', () => {
  expect(createStatementCache().leavesState('vakuum')).toBe(false)
})
