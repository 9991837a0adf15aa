import { expect, test } from 'vitest'
import { choosePlace, type PlaceFacts } from './share.ts'

const BUSY: PlaceFacts = {
  aheadMillis: 1,
  isSlow: false,
  roundTripMillis: 5,
  dialMillis: 20,
  dialling: 0,
  hasRoom: true,
  max: 5,
}

test.each<[string, Partial<PlaceFacts>, ReturnType<typeof choosePlace>]>([
  ['a short wait behind others is shorter than a dial', {}, 'share'],
  ['what takes long, or was never seen, would hold up others: it gets its own', { isSlow: true }, 'own'],
  ['and waits for it where there is no room', { isSlow: true, hasRoom: false }, 'own'],
  ['on a pool of one everybody waits for the same one: sharing keeps that order', { isSlow: true, hasRoom: false, max: 1 }, 'share'],
  ['it is the server that is waited for: one more for those to come', { aheadMillis: 6 }, 'share and dial'],
  ['one at a time', { aheadMillis: 6, dialling: 1 }, 'share'],
  ['a dial is faster than what is ahead', { aheadMillis: 21 }, 'own'],
  ['but not another one beside it', { aheadMillis: 21, dialling: 1 }, 'share'],
  ['unless it is longer than both', { aheadMillis: 41, dialling: 1 }, 'own'],
  ['no room: behind the others, however long', { aheadMillis: 1000, hasRoom: false }, 'share'],
])('%s', (_, facts, place) => {
  expect(choosePlace({ ...BUSY, ...facts })).toBe(place)
})
