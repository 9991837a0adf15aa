import { expect, test, vi } from 'vitest'
import type { ThawEvent } from './events.ts'
import { type Line, logTo, narrate } from './narrate.ts'

const MINUTE = 60_000
const stale = (reason: 'broken' | 'unanswered' | 'idle'): ThawEvent => ({ type: 'stale', reason, silenceMillis: 4 * MINUTE })
const outcome = (action: 'retried' | 'reported', known: 'unknown' | 'not-executed' = 'unknown'): ThawEvent => ({
  type: 'outcome',
  outcome: known,
  reason: known === 'unknown' ? 'write-in-flight' : 'unsent',
  statement: 'write',
  action,
  code: 'ECONNRESET',
})
const thawed: ThawEvent = { type: 'thawed', gapMillis: 6 * MINUTE }
const released: ThawEvent = { type: 'released', usedMillis: 3 }
const lost: ThawEvent = { ...released, lost: true }

async function linesOf(...events: readonly (ThawEvent | 'turn')[]): Promise<string[]> {
  const lines: string[] = []
  const listener = narrate(({ level, text }) => void lines.push(level === 'warn' ? `! ${text}` : text))
  for (const event of events) {
    if (event === 'turn') await Promise.resolve()
    else listener(event)
  }
  await Promise.resolve()
  return lines
}

test('a thaw is one line, once a caller was served', async () => {
  expect(await linesOf(thawed, stale('broken'), stale('unanswered'), stale('broken'))).toEqual([])
  expect(await linesOf(thawed, stale('broken'), stale('broken'), stale('broken'), released, released)).toEqual([
    'thawed after 6 min: 3 dead, 0 failed',
  ])
  expect(await linesOf(thawed, stale('idle'), stale('idle'), released)).toEqual([
    'thawed after 6 min: 0 dead, 2 idle for too long, 0 failed',
  ])
})

test('a statement that is sent again is served when it was answered', async () => {
  expect(await linesOf(thawed, lost, outcome('retried', 'not-executed'), 'turn', stale('broken'), released)).toEqual([
    'a statement (write) lost its connection (ECONNRESET) and was retried',
    'thawed after 6 min: 1 dead, 0 failed',
  ])
})

test('a failure is counted, and told by itself', async () => {
  expect(await linesOf(thawed, lost, outcome('reported'))).toEqual([
    '! a statement (write) lost its connection (ECONNRESET): whether it was executed is unknown',
    '! thawed after 6 min: 0 dead, 1 failed',
  ])
  expect(await linesOf(thawed, { type: 'timedOut', waitedMillis: 10_000 })).toEqual([
    '! a caller waited 10 s for a connection and got none',
    '! thawed after 6 min: 0 dead, 1 failed',
  ])
})

test('a pool that prepares nothing any more', async () => {
  expect(await linesOf({ type: 'prepareStopped', reason: 'pooler' }, { type: 'prepareStopped', reason: 'names-lost' })).toEqual([
    'statements are no longer prepared: there is a pooler in between',
    'statements are no longer prepared: the server keeps losing them',
  ])
})

test('a second thaw, and the end, close the first', async () => {
  expect(await linesOf(thawed, { type: 'thawed', gapMillis: 90 * MINUTE }, { type: 'drained', destroyed: 2 })).toEqual([
    'thawed after 6 min: 0 dead, 0 failed',
    'thawed after 2 h: 0 dead, 0 failed',
    '! the pool has ended while 2 of its connections were in use',
  ])
})

test('without a thaw: what is dead, what is tried again, what was lost; nothing of what is routine', async () => {
  expect(
    await linesOf(
      stale('idle'),
      stale('broken'),
      { type: 'acquired', how: 'trusted', waitedMillis: 0 },
      released,
      { type: 'retried', what: 'connect', delayMillis: 40, code: 'ECONNREFUSED' },
      { type: 'retried', what: 'statement', delayMillis: 0 },
      { type: 'sessionLost' },
      outcome('reported', 'not-executed'),
      { type: 'drained', destroyed: 0 },
    ),
  ).toEqual([
    'an idle connection was dead after 4 min: broken',
    'connecting again in 40 ms (ECONNREFUSED)',
    '! a connection was lost with state of its session on it (SET, LISTEN, PREPARE and the like)',
    '! a statement (write) lost its connection (ECONNRESET): it was not executed',
  ])
})

test('a transaction that is retried, and one that was found to be stored, are no failures', async () => {
  const resolved: ThawEvent = { type: 'outcome', outcome: 'executed', reason: 'committed', statement: 'transaction', action: 'resolved' }
  expect(await linesOf(thawed, { type: 'retried', what: 'transaction', delayMillis: 5, code: '40001' }, resolved, released)).toEqual([
    'a transaction was retried (40001)',
    'a statement (transaction) lost its connection, and was found to have been executed',
    'thawed after 6 min: 0 dead, 0 failed',
  ])
})

test('a line has its figures', () => {
  const lines: Line[] = []
  narrate((line) => void lines.push(line))({ type: 'timedOut', waitedMillis: 1500 })
  expect(lines).toEqual([
    { level: 'warn', about: 'timedOut', facts: { waitedMillis: 1500 }, text: 'a caller waited 2 s for a connection and got none' },
  ])
})

test('a logger is called as its method, and may throw', async () => {
  const logger = {
    lines: [] as string[],
    info: vi.fn(),
    warn(line: string) {
      this.lines.push(line)
    },
  }
  logger.info.mockImplementation(() => {
    throw new Error('full disk')
  })
  const listener = logTo(logger)
  listener(stale('broken'))
  listener({ type: 'sessionLost' })
  expect(logger.info).toHaveBeenCalledWith('thaw: an idle connection was dead after 4 min: broken')
  expect(logger.lines).toHaveLength(1)
})

test('a logger that writes later, and fails then, is no unhandled rejection', async () => {
  const unhandled = vi.fn()
  process.on('unhandledRejection', unhandled)
  // No mock: Vitest's own handles what its functions reject with.
  let lines = 0
  const info = async () => {
    lines++
    throw new Error('the collector is away')
  }
  logTo({ info, warn: info })(stale('broken'))
  await new Promise((resolve) => setImmediate(resolve))
  process.off('unhandledRejection', unhandled)
  expect(lines).toBe(1)
  expect(unhandled).not.toHaveBeenCalled()
})

test.each([
  [undefined, 'undefined'],
  [null, 'null'],
  [{}, 'an object'],
  [[], 'an array'],
  [() => {}, 'a function'],
  [{ info() {} }, 'an object'],
])('%s is no logger', (logger, received) => {
  const message = expect.stringMatching(new RegExp(`^logTo\\(\\) received ${received} without the methods info and warn\\.`))
  expect(() => logTo(logger as never)).toThrow(expect.objectContaining({ kind: 'option', option: 'logger', message }))
})
