import { describe, expect, test } from 'vitest'
import type { Recording } from '../record/recording.ts'
import { PG_FIGURES, PG_RECORDING, THAW_FIGURES, THAW_RECORDING } from './recorded-run.ts'
import { tellStory } from './story.ts'

test('the story of plain pg', () => {
  expect(tellStory('pg', PG_RECORDING, PG_FIGURES)).toBe(
    'The process was frozen for 704 ms. Meanwhile all 2 connections were forgotten by the network, which never says so. ' +
      'Plain pg still held 2 dead connections in the end. All 2 calls hung: no answer when the lab gave up after 5 s.',
  )
})

test('the story of Thaw', () => {
  expect(tellStory('thaw', THAW_RECORDING, THAW_FIGURES)).toBe(
    'The process was frozen for 701 ms. Meanwhile all 2 connections were forgotten by the network, which never says so. ' +
      'Thaw polled the sockets of 2 idle connections (none showed as dead), probed 2, of which none answered within 504 ms, ' +
      'got rid of 2 dead connections 521 ms to 522 ms after the thaw and opened 2 new connections. ' +
      'All 2 calls were answered, the slowest after 615 ms.',
  )
})

describe('every number comes from the recording', () => {
  const tell = (changes: Partial<Recording>): string => tellStory('thaw', { ...THAW_RECORDING, ...changes }, THAW_FIGURES)

  test('how many were probed, and how many answered', () => {
    const probed = (alive: boolean, tookMillis: number) => ({ atMillis: 9, type: 'probed', fields: { alive, tookMillis } })
    expect(tell({ decisions: [probed(true, 2), probed(true, 7)] })).toContain('probed 2, of which all answered within 7 ms')
    expect(tell({ decisions: [probed(true, 2), probed(false, 500)] })).toContain(
      'probed 2, of which 1 answered and 1 did not, within 500 ms',
    )
    expect(tell({ decisions: [probed(false, 500)] })).toContain('probed one, which did not answer within 500 ms')
  })

  test('failed connection attempts, and for how long there was no server', () => {
    const story = tell({
      troubles: [{ kind: 'refusing', fromMillis: -700, toMillis: 2_011 }],
      connections: [...THAW_RECORDING.connections, { dialledMillis: 20, closedMillis: 21, code: 'ECONNREFUSED' }],
    })
    expect(story).toContain('New connections were refused until 2.01 s after the thaw.')
    expect(story).toContain('failed to connect 1 more time')
  })

  test('what became of lost statements, and events of another version', () => {
    const outcome = { type: 'outcome', fields: { statement: 'read', outcome: 'not-executed', action: 'retried' } }
    const story = tell({
      decisions: [
        { atMillis: 10, ...outcome },
        { atMillis: 11, ...outcome },
        { atMillis: 12, type: 'sessionLost', fields: { what: 'SET' } },
        { atMillis: -5, type: 'before', fields: {} },
      ],
    })
    expect(story).toContain('2 times retried a read (not-executed) and told: sessionLost (what: SET).')
    expect(story).not.toContain('before')
  })

  test('calls of unknown outcome, crashes, and rows stored twice', () => {
    const lost = { ...THAW_RECORDING.calls[1], ending: 'failed', isHonest: true, error: 'lost' } as Recording['calls'][0]
    const recording = { ...THAW_RECORDING, calls: [lost, ...THAW_RECORDING.calls.slice(1)] }
    const story = tellStory('thaw', recording, { ...THAW_FIGURES, unknown: 1, crashes: 2, rowsTwice: 1 })
    expect(story).toContain('2 of 3 calls were answered, the slowest after 615 ms. 1 call got an error after its statement had been sent')
    expect(story).toContain('The process would have crashed 2 times. 1 row was stored twice.')
  })
})
