import { expect, test } from 'vitest'
import { playCrowd } from './crowd.ts'

const SMALL = { functions: 20, sessions: 8, rounds: 1 }

test('twenty frozen functions on eight sessions: plain pg is told that there are too many, Thaw is not', { timeout: 120_000 }, async () => {
  const pg = await playCrowd('pg', SMALL)
  expect(pg.failed).toBeGreaterThan(5)
  expect(Object.keys(pg.errors).join()).toMatch(/sorry, too many clients already|remaining connection slots are reserved/)
  const thaw = await playCrowd('thaw', SMALL)
  expect(thaw).toMatchObject({ calls: 20, failed: 0, errors: {}, astray: 0 })
  expect(thaw.mostSessions).toBeLessThanOrEqual(8)
})
