import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { patience } from './patience.ts'
import { until } from './until.ts'

test('a process that stands still loses no patience, and then does', async () => {
  let hangs = false
  const waited = patience(40, () => false, 10).then(() => {
    hangs = true
  })
  const frozenUntil = performance.now() + 100
  while (performance.now() < frozenUntil);
  await turn()
  await turn()
  expect(hangs).toBe(false)
  await until('it is out of patience', () => hangs)
  await waited
})
