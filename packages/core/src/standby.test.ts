import { expect, test } from 'vitest'
import { foundStandby, mayLookUpAgain, type StandbyFound } from './standby.ts'

const at = (millis: number) => ({ wall: millis, mono: millis })

test('a write refused for the first time looks the host up', () => {
  expect(mayLookUpAgain(undefined, at(0))).toBe(true)
})

test('the pause doubles each time in a row, from 1 s to 5 min', () => {
  const pauses: number[] = []
  let found: StandbyFound | undefined
  let now = 0
  for (let count = 0; count < 12; count++) {
    found = foundStandby(found, at(now))
    pauses.push(found.pauseMillis / 1000)
    expect([mayLookUpAgain(found, at(now + found.pauseMillis - 1)), mayLookUpAgain(found, at(now + found.pauseMillis))]).toEqual([
      false,
      true,
    ])
    now += found.pauseMillis
  }
  expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300])
})

test('a write by mistake each second for an hour looks the host up 20 times', () => {
  let found: StandbyFound | undefined
  let lookUps = 0
  for (let second = 0; second < 3600; second++) {
    if (!mayLookUpAgain(found, at(second * 1000))) continue
    found = foundStandby(found, at(second * 1000))
    lookUps++
  }
  expect(lookUps).toBe(20)
})

test('one found long ago was another story', () => {
  expect(foundStandby({ at: at(0), pauseMillis: 300_000 }, at(600_000)).pauseMillis).toBe(1000)
})
