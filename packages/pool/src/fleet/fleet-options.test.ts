import { OptionError } from '@thaw/core'
import { expect, test } from 'vitest'
import { fleetOf, refuseFleetOnWorkers } from './fleet-options.ts'

test('on Workers it is refused, with what to use instead', () => {
  expect(() => refuseFleetOnWorkers({ fleet: 'orders' })).toThrow(OptionError)
  expect(() => refuseFleetOnWorkers({ fleet: 'orders' })).toThrow(/Use Hyperdrive/)
  expect(() => refuseFleetOnWorkers({})).not.toThrow()
})

test.each([
  ['by its host', { host: 'aws-0-eu-west-1.pooler.supabase.com' }],
  ['by its URL', { connectionString: 'postgres://u:secret@aws-0-eu-west-1.pooler.supabase.com:5432/d' }],
])('a pooler is refused %s, and no password is told', (_how, where) => {
  const refusal = (() => {
    try {
      return fleetOf({ ...where, fleet: 'orders' }, 500)
    } catch (error) {
      return error as Error
    }
  })()
  expect(refusal).toBeInstanceOf(OptionError)
  expect((refusal as Error).message).toContain('is Supavisor. Leave the option out')
  expect((refusal as Error).message).not.toContain('secret')
})

test('without the option the pool is in no fleet', () => {
  expect(fleetOf({ trustMillis: 5000 }, 5000)).toBeUndefined()
  expect(fleetOf({ fleet: 'orders', connectionString: 'not a URL' }, 500)).toMatchObject({ name: 'orders' })
})
