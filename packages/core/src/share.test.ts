import { expect, test } from 'vitest'
import { choosePlace, type PlaceFacts } from './share.ts'

const BUSY: PlaceFacts = {
  hasIdle: false,
  aheadMillis: 1,
  isSlow: false,
  roundTripMillis: 5,
  dialMillis: 20,
  dialling: 0,
  hasRoom: true,
  max: 5,
}

test.each<[string, Partial<PlaceFacts>, ReturnType<typeof choosePlace>]>([
  ['an idle connection comes first, however short the others are', { hasIdle: true, aheadMillis: 0 }, 'idle'],
  ['where none may be shared it is as ever', { aheadMillis: undefined }, 'dial'],
  ['where none may be shared, and none opened, it waits', { aheadMillis: undefined, hasRoom: false }, 'wait'],
  ['a short wait behind others is shorter than a dial', {}, 'share'],
  ['what takes long, or was never seen, would hold up others: it gets its own', { isSlow: true }, 'dial'],
  ['and waits for it where there is no room', { isSlow: true, hasRoom: false }, 'wait'],
  ['on a pool of one everybody waits for the same one: sharing keeps that order', { isSlow: true, hasRoom: false, max: 1 }, 'share'],
  ['it is the server that is waited for: one more for those to come', { aheadMillis: 6 }, 'share and dial'],
  ['one at a time', { aheadMillis: 6, dialling: 1 }, 'share'],
  ['a dial is faster than what is ahead', { aheadMillis: 21 }, 'dial'],
  ['but not another one beside it', { aheadMillis: 21, dialling: 1 }, 'share'],
  ['unless it is longer than both', { aheadMillis: 41, dialling: 1 }, 'dial'],
  ['no room: behind the others, however long', { aheadMillis: 1000, hasRoom: false }, 'share'],
])('%s', (_, facts, place) => {
  expect(choosePlace({ ...BUSY, ...facts })).toBe(place)
})
