import type { Flow } from '@thaw/testkit'
import { describe, expect, test } from 'vitest'
import type { Call } from '../call.ts'
import { createRecording, type RecordingParts } from './recording.ts'
import { sharedMillis, toShared } from './shared-clock.ts'

const NOTHING: RecordingParts = {
  warmUps: [],
  calls: [],
  flows: [],
  witness: { blows: [], troubles: [], freezes: [] },
  instance: { sockets: [], decisions: [], crashes: [], nameless: [] },
}
const now = sharedMillis()
const failed: Call = { event: { action: 'read' }, wasSent: false, startedAtMillis: 0, waitMillis: 5, failure: 'lost', isCapped: false }

function flow(id: number, clientPort: number): Flow {
  return { id, clientPort } as Flow
}

test('counts from the first thaw', () => {
  const freezes = [
    { fromMillis: now - 300, toMillis: now - 100 },
    { fromMillis: now - 50, toMillis: now - 20 },
  ]
  const decisions = [{ atMillis: now - 90, type: 'socketsPolled', fields: {} }]
  const recording = createRecording({ ...NOTHING, witness: { ...NOTHING.witness, freezes }, instance: { ...NOTHING.instance, decisions } })
  expect(recording.freezes).toEqual([
    { fromMillis: -200, toMillis: 0 },
    { fromMillis: 50, toMillis: 80 },
  ])
  expect(recording.decisions).toEqual([{ atMillis: 10, type: 'socketsPolled', fields: {} }])
})

test('what has not ended lasts to the end', () => {
  const witness = { ...NOTHING.witness, troubles: [{ kind: 'refusing' as const, fromMillis: now }] }
  const { troubles, toMillis } = createRecording({ ...NOTHING, witness })
  expect(troubles).toMatchObject([{ kind: 'refusing', toMillis }])
})

describe('a connection', () => {
  const socket = { dialledAtMillis: now, connectedAtMillis: now + 1, port: 40_000 }
  const blows = [{ kind: 'rst' as const, atMillis: now + 5, deaths: new Map([[2, now + 5]]) }]

  test('dies when its flow was struck, even if its port was used before', () => {
    const sockets = [
      socket,
      { ...socket, dialledAtMillis: now + 2, connectedAtMillis: now + 3, closedAtMillis: now + 9, code: 'ECONNRESET' },
    ]
    const recording = createRecording({
      ...NOTHING,
      flows: [flow(1, 40_000), flow(2, 40_000)],
      witness: { ...NOTHING.witness, blows },
      instance: { ...NOTHING.instance, sockets },
    })
    expect(recording.connections).toEqual([
      { dialledMillis: 0, openedMillis: 1 },
      { dialledMillis: 2, openedMillis: 3, diedMillis: 5, cause: 'rst', closedMillis: 9, code: 'ECONNRESET' },
    ])
    expect(recording.blows).toEqual([{ kind: 'rst', atMillis: 5, count: 1 }])
  })

  test('that was never made belongs to no flow', () => {
    const sockets = [{ dialledAtMillis: now, closedAtMillis: now + 1, code: 'ECONNREFUSED' }]
    const recording = createRecording({
      ...NOTHING,
      flows: [flow(2, 40_000)],
      witness: { ...NOTHING.witness, blows },
      instance: { ...NOTHING.instance, sockets },
    })
    expect(recording.connections).toEqual([{ dialledMillis: 0, closedMillis: 1, code: 'ECONNREFUSED' }])
  })
})

describe('a call', () => {
  test.each([
    ['answered', { failure: undefined }, 'answered', false],
    ['failed', {}, 'failed', false],
    ['given up', { isCapped: true }, 'hung', false],
    ['lost after its statement was sent', { wasSent: true }, 'failed', true],
    ['answered although its connection was to be lost', { wasSent: true, failure: undefined }, 'answered', false],
  ] as const)('that was %s', (_, changes, ending, isHonest) => {
    expect(createRecording({ ...NOTHING, calls: [{ ...failed, ...changes }] }).calls).toMatchObject([
      { phase: 'counted', ending, isHonest },
    ])
  })

  test('does not tell the password that its error quotes', () => {
    const failure = 'cannot connect to postgres://shop:s3cret@db/shop, nor to postgres://:s3cret@other/shop'
    const [call] = createRecording({ ...NOTHING, calls: [{ ...failed, failure }] }).calls
    expect(call?.error).toBe('cannot connect to postgres://shop:…@db/shop, nor to postgres://:…@other/shop')
  })
})

test('performance.now and the shared clock tell the same time', () => {
  const before = sharedMillis()
  const between = toShared(performance.now())
  expect(between).toBeGreaterThanOrEqual(before - 0.1)
  expect(between).toBeLessThanOrEqual(sharedMillis() + 0.1)
})
