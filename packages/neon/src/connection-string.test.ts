import { describe, expect, test } from 'vitest'
import { Client, neon, Pool } from './index.ts'

const SECRET = 'hunter2'

describe('what is no URL of a database is refused where it is given, by all three', () => {
  test.for([
    ['', /is empty: is DATABASE_URL set for this process\? Write/],
    [`psql 'postgresql://u:${SECRET}@h/d'`, /psql command/],
    [`"postgresql://u:${SECRET}@h/d"`, /quotes or spaces/],
    [`https://u:${SECRET}@h/d`, /begins with "https:"/],
    [`prisma+postgres://u:${SECRET}@h/d`, /begins with "prisma\+postgres:"/],
    [`u:${SECRET}@h/d`, /begins with "u:"/],
    [SECRET, /string of 7 characters, and no URL/],
    [`postgresql://u:${SECRET}#?/@h/d`, /percent-encoded/],
    [42, /is a number/],
  ] as const)('%s', ([value, message]) => {
    const connectionString = value as string
    for (const make of [() => new Pool({ connectionString }), () => new Client({ connectionString }), () => neon(connectionString)]) {
      expect(make).toThrow(message)
      expect(make).toThrow(expect.objectContaining({ kind: 'option', option: 'connectionString' }))
      expect(make).not.toThrow(SECRET)
    }
  })

  test('a URL without a user, a host or a database, where HTTP needs them', () => {
    expect(() => neon('postgresql://h/d')).toThrow(/has no user/)
    expect(() => neon('postgresql://u:p@h')).toThrow(/has no database/)
    expect(() => neon('postgresql://u:p@h', { database: 'd' })).not.toThrow()
  })
})

describe('nothing at all', () => {
  // A build imports the module that makes the pool, where DATABASE_URL is not set.
  test('is refused when it is used, not before', async () => {
    expect(process.env['PGHOST']).toBeUndefined()
    const missing = { kind: 'option', option: 'connectionString', message: expect.stringContaining('Set DATABASE_URL') }
    await expect(new Pool({ connectionString: undefined }).query('SELECT 1')).rejects.toMatchObject(missing)
    await expect(new Client().connect()).rejects.toMatchObject(missing)
    await expect(neon(undefined).query('SELECT 1')).rejects.toMatchObject(missing)
    await expect(neon(undefined).transaction([])).rejects.toMatchObject(missing)
  })
})

test('a URL under another name, and a port that is none', () => {
  for (const make of [Pool, Client] as (new (
    config: object,
  ) => unknown)[]) {
    expect(() => new make({ url: 'postgres://u:hunter2@h/d' })).toThrow(/There is no option "url"\. .* connectionString/)
    expect(() => new make({ url: 'postgres://u:hunter2@h/d' })).not.toThrow(SECRET)
    expect(() => new make({ host: 'h', port: 'abc' })).toThrow(/"port" is a string of 3 characters/)
  }
})

test('an option that is misspelt or absurd', () => {
  expect(() => new Pool({ trustMilis: 1 } as object)).toThrow(/Did you mean "trustMillis"/)
  expect(() => neon('postgresql://u:p@h/d', { connectionTimeoutMillis: -1 })).toThrow(/"connectionTimeoutMillis" is -1/)
  expect(() => neon('postgresql://u:p@h/d').query('SELECT 1', [], { idempotnt: true } as object)).toThrow(/Did you mean "idempotent"/)
})
