import { expect, test } from 'vitest'
import { type Backend, isDone, isElsewhere, isGone, type Span, type Witness } from './evidence.ts'

/** Our connection is 100 s old, was last ready 10 s ago, and has waited for its statement for 5 s. */
const NOW = 200_000
const ago = (fromMillis: number, toMillis = fromMillis): Span => ({
  from: { mono: NOW - fromMillis, wall: NOW - fromMillis },
  to: { mono: NOW - toMillis, wall: NOW - toMillis },
})
const WITNESS: Witness = { localPort: 4000, born: ago(100_000), ready: ago(10_000), heard: ago(10_000), sent: ago(6000, 5000) }
const BACKEND: Backend = { state: 'idle', waitEvent: 'ClientRead', clientPort: 5000, ageSeconds: 100, stateSeconds: 10, querySeconds: 10.1 }
const ASKED = ago(20, 0)

const rows: readonly [sentence: string, backend: Partial<Backend>, witness: Partial<Witness>, done: boolean][] = [
  ['idle since we last heard of it: the statement never arrived', {}, {}, true],
  ['idle, and has begun a statement when we sent ours: the answer is lost', { stateSeconds: 2, querySeconds: 5.3 }, {}, true],
  ['the same in a transaction', { state: 'idle in transaction', stateSeconds: 2, querySeconds: 5.3 }, {}, true],
  ['waits for us to read', { state: 'active', waitEvent: 'ClientWrite', stateSeconds: 5.3, querySeconds: 5.3 }, {}, true],
  ['idle since the last byte came, without the word that it is ready', { stateSeconds: 3.5 }, { heard: ago(4000, 3000) }, true],
  ['at work', { state: 'active', waitEvent: '', stateSeconds: 5.3, querySeconds: 5.3 }, {}, false],
  ['waits for a lock', { state: 'active', waitEvent: 'relation', stateSeconds: 5.3, querySeconds: 5.3 }, {}, false],
  ['at work, on our own port', { state: 'active', waitEvent: '', clientPort: 4000 }, {}, false],
  ['idle on our own port, whatever its rhythm', { clientPort: 4000, stateSeconds: 1, querySeconds: 2 }, {}, true],
  [
    'on a Unix socket, which has no port, nothing is the same',
    { clientPort: -1, stateSeconds: 1, querySeconds: 2 },
    { localPort: -1 },
    false,
  ],
  ['on our own port, but younger: another one', { clientPort: 4000, ageSeconds: 50 }, {}, false],
  ['another server, whose backend has the same pid and another age', { ageSeconds: 103 }, {}, false],
  ['another server, whose backend is as old and has another rhythm', { stateSeconds: 7.9, querySeconds: 8 }, {}, false],
  ['nothing is told of its state (track_activities = off)', { state: 'disabled', waitEvent: '' }, {}, false],
  ['nothing is told at all', { ageSeconds: Number.NaN, stateSeconds: Number.NaN, querySeconds: Number.NaN, state: '' }, {}, false],
  ['a dial that took long', { ageSeconds: 97 }, { born: ago(100_000, 95_000) }, true],
]

test.each(rows)('%s', (_, backend, witness, done) => {
  expect(isDone({ ...BACKEND, ...backend }, { ...WITNESS, ...witness }, ASKED)).toBe(done)
})

test('one clock that was set, or that stood still, does not hide a loss', () => {
  const shift = (span: Span, clock: 'mono' | 'wall'): Span => ({
    from: { ...span.from, [clock]: span.from[clock] + 60_000 },
    to: { ...span.to, [clock]: span.to[clock] + 60_000 },
  })
  expect(isDone(BACKEND, WITNESS, shift(ASKED, 'wall'))).toBe(true)
  expect(isDone(BACKEND, WITNESS, shift(ASKED, 'mono'))).toBe(true)
  expect(isDone(BACKEND, WITNESS, shift(shift(ASKED, 'mono'), 'wall'))).toBe(false)
})

const INCARNATION = { system: '7', timeline: '00000001', statsSince: '1', archiverStatsSince: '1', startedAt: '20260101000000000001' }
const KNOWN = { pid: '70', startedAt: '20260102000000000002', incarnation: INCARNATION, isStandby: false, hasKeyTable: false }
const SERVER = { system: '7', timeline: '00000001' as string | null, startedAt: INCARNATION.startedAt }
const PRESENCE = { server: SERVER, began: new Map<string, string | null>([['71', '20260103000000000003']]) }

test.each([
  ['it is not there', {}, {}, true],
  ['another one has its PID', {}, { began: new Map([['70', '20260103000000000003']]) }, true],
  ['it is there', {}, { began: new Map([['70', KNOWN.startedAt]]) }, false],
  ['one that has its PID is there, and nothing is told of when it began', {}, { began: new Map([['70', null]]) }, false],
  ['its server was restarted', {}, { server: { ...SERVER, startedAt: '20260102000000000009' } }, true],
  ['a primary answers that was there before', {}, { server: { ...SERVER, startedAt: '20260101000000000009' } }, false],
  ['a replica answers', {}, { server: { ...SERVER, timeline: null, startedAt: '20260102000000000009' } }, false],
  ['another system answers', {}, { server: { ...SERVER, system: '8', startedAt: '20260102000000000009' } }, false],
  ['a replica was promoted in its place', {}, { server: { ...SERVER, timeline: '0000000A', startedAt: '20260101000000000009' } }, true],
  [
    'a primary of an earlier timeline answers',
    {},
    { server: { ...SERVER, timeline: '00000000', startedAt: '20260102000000000009' } },
    false,
  ],
  ['nothing is known of its server', { incarnation: undefined }, {}, false],
])('gone from its server: %s', (_, known, presence, gone) => {
  expect(isGone({ ...KNOWN, ...known }, { ...PRESENCE, ...presence })).toBe(gone)
})

test.each([
  ['the same server', {}, {}, false],
  ['another one', {}, { server: { ...SERVER, startedAt: '20260101000000000009' } }, true],
  ['nothing is known of its server', { incarnation: undefined }, {}, false],
])('another server has answered: %s', (_, known, presence, elsewhere) => {
  expect(isElsewhere({ ...KNOWN, ...known }, { ...PRESENCE, ...presence })).toBe(elsewhere)
})
