import { expect, test, vi } from 'vitest'
import { systemClock } from './clock.ts'
import { unmaskedNow, unmaskedRandom } from './unmasked.ts'

/** As Next.js does it: bound, so that it prints as native code. */
function masked(original: () => number): { readonly mask: () => number; readonly called: () => number } {
  let calls = 0
  const now = () => {
    calls++
    return original()
  }
  return { mask: now.bind(null), called: () => calls }
}

test('the system clock tells the time past a mask, and draws chance past one', () => {
  const [time, chance] = [masked(Date.now), masked(Math.random)]
  const before = Date.now()
  const { now } = Date
  const { random } = Math
  try {
    Date.now = time.mask
    Math.random = chance.mask
    expect(systemClock.wall()).toBeGreaterThanOrEqual(before)
    expect(new Set([systemClock.random(), systemClock.random()]).size).toBe(2)
  } finally {
    Date.now = now
    Math.random = random
  }
  expect([time.called(), chance.called()]).toEqual([0, 0])
  expect(systemClock.wall()).toBeLessThanOrEqual(Date.now())
})

test('a mask is passed where node:vm throws, too, as in workerd', async () => {
  vi.resetModules()
  const getBuiltin = vi.spyOn(process, 'getBuiltinModule').mockImplementation(() => ({
    runInNewContext() {
      throw new Error('no such method in workerd')
    },
  }))
  try {
    const fresh = await import('./unmasked.ts')
    const { mask, called } = masked(Date.now)
    const before = Date.now()
    expect(fresh.unmaskedNow(mask)()).toBeGreaterThanOrEqual(before)
    expect(called()).toBe(0)
    // Chance is drawn so seldom that the mask may hear of it.
    expect(fresh.unmaskedRandom(mask)).toBe(mask)
  } finally {
    getBuiltin.mockRestore()
  }
})

test("the runtime's own, and what is written in JavaScript, are left as they are", () => {
  const fake = () => 7
  expect([unmaskedNow(Date.now), unmaskedRandom(Math.random)]).toEqual([Date.now, Math.random])
  expect([unmaskedNow(fake), unmaskedRandom(fake)]).toEqual([fake, fake])
})
