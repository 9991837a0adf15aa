import { expect, test } from 'vitest'
import { adviceWhereNothingWasGiven } from './missing-url.ts'

const SECRET = 'postgresql://user:secret@db.example/shop'

test.each([
  ['a connection string', { connectionString: SECRET }, {}],
  ['a host', { host: '/var/run/postgresql' }, {}],
  ['PGHOST', {}, { PGHOST: 'db.example' }],
  ['a socket of their own', { stream: () => {} }, {}],
])('the user has said where the database is, by %s: no hint', (_, options, env) => {
  expect(adviceWhereNothingWasGiven(options, { DATABASE_URL: SECRET, ...env })).toBeUndefined()
})

test.each([
  ['and is not set', {}, 'DATABASE_URL is not set in this process'],
  ['and is empty', { DATABASE_URL: '' }, 'DATABASE_URL is not set in this process'],
  ['and is set, but was not passed on', { DATABASE_URL: SECRET }, 'DATABASE_URL is set in this process: pass it on'],
])('nothing says where: DATABASE_URL is named, %s', (_, env, words) => {
  for (const options of [{}, { connectionString: undefined }, { connectionString: '' }]) {
    const advice = adviceWhereNothingWasGiven(options, env)
    expect(advice).toContain(words)
    expect(advice).not.toContain('secret')
  }
})

test.each(['url', 'uri', 'connectionUrl', 'connectionURI', 'DATABASE_URL', 'databaseUrl', 'dsn'])(
  'nothing says where, but there is an option %s: it is named',
  (name) => {
    for (const value of [undefined, SECRET]) {
      const advice = adviceWhereNothingWasGiven({ [name]: value, database: 'shop' } as object, {})
      expect(advice).toContain(`The option "${name}" is not one of the driver's: write it as new Pool({ connectionString: … })`)
      expect(advice).not.toContain('secret')
    }
  },
)
