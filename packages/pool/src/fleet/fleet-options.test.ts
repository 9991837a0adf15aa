import { OptionError } from '@thaw/core'
import { afterEach, expect, test, vi } from 'vitest'
import { fleetOf, refuseFleetOnWorkers } from './fleet-options.ts'
import { ownName } from './own-name.ts'

afterEach(() => {
  vi.unstubAllEnvs()
})

test('on Workers it is refused, with what to use instead', () => {
  expect(() => refuseFleetOnWorkers({ fleet: 'orders' })).toThrow(OptionError)
  expect(() => refuseFleetOnWorkers({ fleet: 'orders' })).toThrow(/Use Hyperdrive/)
  expect(() => refuseFleetOnWorkers({})).not.toThrow()
})

test.each([
  ['by its host', { host: 'aws-0-eu-west-1.pooler.supabase.com' }],
  ['by the host in the query of a URL', { connectionString: 'postgres://u:secret@localhost/d?host=aws-0-eu-west-1.pooler.supabase.com' }],
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

test.each([
  [{ connectionString: 'postgres://u:secret@db.abc.supabase.co/d?port=6543' }, /db.abc.supabase.co is PgBouncer/],
  [{ connectionString: 'postgres://u:secret@localhost/d?options=endpoint%3Dep-x-pooler' }, /ep-x-pooler is Neon's pooler/],
  [{ host: 'localhost', options: 'endpoint=ep-x-pooler' }, /ep-x-pooler is Neon's pooler/],
  [{ host: 'ep-x-pooler.us-east-1.postgres.vercel-storage.com' }, /is Neon's pooler/],
])('a pooler is refused that is named in another way: %o', (where, message) => {
  expect(() => fleetOf({ ...where, fleet: 'orders' }, 500)).toThrow(message)
})

test.each(['fleets', 'fleat', 'flet', 'fleet_', 'fleetName', 'fleet_name'])('%s is no option: no pool is left out in silence', (name) => {
  expect(() => fleetOf({ [name]: 'orders' }, 500)).toThrow(`There is no option "${name}". Did you mean "fleet"?`)
})

test('in the connection string it has no effect, and says so', () => {
  expect(() => fleetOf({ connectionString: 'postgres://u:secret@h/d?fleet=orders' }, 500)).toThrow(
    /in the connection string, where it has no effect/,
  )
  expect(fleetOf({ connectionString: 'postgres://u@h/d?fleet=orders', fleet: 'orders' }, 500)).toMatchObject({ name: 'orders' })
})

test.each(['reset', 'select', 'flags', 'float', 'left', 'sheet'])("%s is another library's", (name) => {
  expect(fleetOf({ [name]: 'x' }, 500)).toBeUndefined()
})

test('without the option the pool is in no fleet', () => {
  expect(fleetOf({ trustMillis: 5000 }, 5000)).toBeUndefined()
  expect(fleetOf({ fleet: 'orders', connectionString: 'not a URL' }, 500)).toMatchObject({ name: 'orders' })
})

test("the user's own name is the one that pg and the server would take", () => {
  const all = { application_name: 'a', fallback_application_name: 'b', options: '-c application_name=c' }
  expect(ownName(all)).toBe('a')
  expect(ownName({ ...all, application_name: '' })).toBe('b')
  expect(ownName({ options: all.options })).toBe('c')
  expect(ownName({ options: '-capplication_name=one --application-name=my\\ shop -c search_path=x' })).toBe('my shop')
  expect(ownName({ options: '-c my.application_name=x' })).toBeUndefined()
  expect(ownName({})).toBeUndefined()
})

test('what is said in the environment counts, too', () => {
  const long = 'x'.repeat(50)
  for (const [name, value] of Object.entries({ PGAPPNAME: long, PGOPTIONS: `-c application_name=${long}` })) {
    vi.stubEnv(name, value)
    expect(() => fleetOf({ fleet: 'orders' }, 500)).toThrow(/too long for PostgreSQL/)
    vi.unstubAllEnvs()
  }
  expect(() => fleetOf({ fleet: 'orders', connectionString: `postgres://h/d?fallback_application_name=${long}` }, 500)).toThrow(/too long/)
  vi.stubEnv('PGHOST', 'db.abc.supabase.co')
  vi.stubEnv('PGPORT', '6543')
  expect(() => fleetOf({ fleet: 'orders' }, 500)).toThrow(/is PgBouncer/)
})
