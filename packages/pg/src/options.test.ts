/** What may be given as an option, and what becomes of it. No connection is opened here. */

import { createFakeClock } from '@thaw/testkit'
import { describe, expect, test } from 'vitest'
import { Client, OptionError, Pool, type PoolConfig } from './index.ts'

const optionsOf = (config: object) => new Pool(config as PoolConfig).options

describe('a pool without options', () => {
  test.each([undefined, null])('%s, as node-postgres', (config) => {
    expect(new Pool(config as undefined).options.max).toBe(10)
  })

  test('end(null) ends, as node-postgres', async () => {
    await expect(new Pool().end(null as never)).resolves.toBeUndefined()
  })
})

test('numeric strings, which environment variables are, become numbers: pg-pool takes "0" for a limit of nothing', () => {
  const given = { connectionTimeoutMillis: '0', maxLifetimeSeconds: '0', idleTimeoutMillis: ' 5000 ', min: '1', maxUses: '7' }
  expect(optionsOf(given)).toMatchObject({
    connectionTimeoutMillis: 0,
    maxLifetimeSeconds: 0,
    idleTimeoutMillis: 5000,
    min: 1,
    maxUses: 7,
  })
  expect(optionsOf({ max: '0' }).max).toBe(10)
  const ours = { trustMillis: '100', probeTimeoutMillis: '500', releaseTimeoutMillis: '1000', prepare: '5' }
  expect(optionsOf(ours)).toMatchObject({ trustMillis: 100, probeTimeoutMillis: 500, releaseTimeoutMillis: 1000, prepare: 5 })
  expect(optionsOf({ poolSize: '3' }).max).toBe(3)
})

const refused: readonly [options: object, message: RegExp][] = [
  // Node makes a timer of 1 ms of it, with which pg-pool ends each connection as soon as it stands.
  [{ maxLifetimeSeconds: Number.POSITIVE_INFINITY }, /"maxLifetimeSeconds" is Infinity, but must be a number, from 0 to 2147483\./],
  [{ connectionTimeoutMillis: 30 * 86_400_000 }, /"connectionTimeoutMillis" is 2592000000, but must be a number, from 0 to 2147483647\./],
  [{ poolSize: 'many' }, /"poolSize" is a string of 4 characters, but must be a whole number, 0 or more\./],
  [{ Max: 3 }, /no option "Max"\. Did you mean "max"\?/],
  [{ conectionString: 'postgres://me:secret@db/app' }, /no option "conectionString"\. Did you mean "connectionString"\?/],
  [{ statementTimeout: 1000 }, /no option "statementTimeout"\. Did you mean "statement_timeout"\?/],
  [{ clock: {} }, /"clock" is an object, but must be an object with wall\(\), mono\(\), /],
  [{ clock: { ...createFakeClock(), clearTimer: undefined } }, /"clock" is an object, but must be/],
  // pg would end the process with a TypeError when the server offers TLS.
  [{ ssl: 'require' }, /"ssl" is a string of 7 characters, but must be true, false, 'no-verify' or an object such as \{ ca \}/],
  [{ ssl: 'false' }, /"ssl" is a string of 5 characters/],
  [{ ssl: 1 }, /"ssl" is 1, but must be/],
  // With node-postgres each of these fails every statement after 1 ms, ends it after 5 ms, is refused by the server, or is not heard of at all.
  [{ query_timeout: '5s' }, /"query_timeout" is a string of 2 characters, but must be a number of milliseconds, 0 or more\./],
  [{ query_timeout: -1 }, /"query_timeout" is -1, but must be/],
  [{ query_timeout: Number.NaN }, /"query_timeout" is NaN, but must be/],
  [{ query_timeout: true }, /"query_timeout" is true, but must be/],
  [
    { statement_timeout: '5s' },
    /"statement_timeout" is a string of 2 characters, but must be a number of milliseconds, from 0 to 2147483647\./,
  ],
  [{ statement_timeout: Number.POSITIVE_INFINITY }, /"statement_timeout" is Infinity/],
  [{ lock_timeout: -1 }, /"lock_timeout" is -1, but must be/],
  [{ idle_in_transaction_session_timeout: 'never' }, /"idle_in_transaction_session_timeout" is a string of 5 characters/],
  [{ keepAliveInitialDelayMillis: -1 }, /"keepAliveInitialDelayMillis" is -1, but must be/],
  // A RangeError of net, much later, and for a URL object or a number a TypeError about charAt.
  [{ port: 'abc' }, /"port" is a string of 3 characters, but must be a number from 1 to 65535\./],
  [{ port: 'tcp://10.0.0.1:5432' }, /"port" is a string of 19 characters/],
  [{ port: 70_000 }, /"port" is 70000, but must be/],
  [{ port: true }, /"port" is true, but must be/],
  [{ connectionString: 5 }, /"connectionString" is 5, but must be a string, such as/],
  [{ connectionString: new URL('postgres://me:secret@db/app') }, /"connectionString" is an object, .* its href\)\./],
  [
    { url: 'postgres://me:secret@db/app' },
    /no option "url"\. What it holds is a URL of PostgreSQL: write it as new Pool\(\{ connectionString: … \}\)/,
  ],
  [{ databaseUrl: 'postgresql://db/app', max: 3 }, /no option "databaseUrl"\./],
]

test.each(refused)('%o is refused', (options, message) => {
  expect(() => optionsOf(options)).toThrow(OptionError)
  expect(() => optionsOf(options)).toThrow(message)
  expect(() => optionsOf(options)).not.toThrow(/secret/)
})

const WHEREABOUTS = ['port', 'connectionString', 'url', 'databaseUrl']

test.each(refused.filter(([options]) => WHEREABOUTS.some((name) => name in options)))(
  '%o is refused by a client of its own, too',
  (options, message) => {
    expect(() => new Client(options as object)).toThrow(OptionError)
    expect(() => new Client(options as object)).toThrow(message)
  },
)

test.each([5432, '5432', ' 5432 ', '', null, undefined, Number.NaN, 0])('port may be %o, as in node-postgres', (port) => {
  expect(() => optionsOf({ port })).not.toThrow()
  expect(() => new Client({ port } as object)).not.toThrow()
})

test.each([
  { url: 'postgres://a/b', connectionString: 'postgres://127.0.0.1:1/app' },
  { url: 'postgres://a/b', host: '127.0.0.1' },
  { url: 'postgres://a/b', database: 'app' },
  { url: 'https://docs.example' },
  { url: undefined },
  { password: 'postgres://a/b' },
])('%o passes: node-postgres is told where to connect, or the URL is no database', (options) => {
  expect(() => optionsOf(options)).not.toThrow()
})

const TIMES = ['query_timeout', 'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'keepAliveInitialDelayMillis']

test.each(TIMES)('%s may be whatever node-postgres takes for a time, or for none', (name) => {
  for (const value of [0, 5000, '5000', ' 5000', false, null, undefined, '']) expect(() => optionsOf({ [name]: value })).not.toThrow()
})

test('a query_timeout may be infinite', () => {
  expect(() => optionsOf({ query_timeout: Number.POSITIVE_INFINITY })).not.toThrow()
})

test.each(['5s', true, {}])('a query_timeout of one statement may not be %o', (query_timeout) => {
  const refused = /"query_timeout" is .*, but must be a number of milliseconds/
  expect(() => new Client().query({ text: 'select 1', query_timeout } as never)).toThrow(refused)
})

test('a query_timeout that is no time is refused in a URL, too', async () => {
  const connectionString = 'postgres://127.0.0.1:1/app?query_timeout=5s'
  await expect(new Pool({ connectionString }).query('select 1')).rejects.toThrow(/"query_timeout" is a string of 2 characters/)
  expect(() => new Client({ connectionString })).toThrow(/"query_timeout" is a string of 2 characters/)
})

test.each([true, false, null, undefined, '', 'true', 'no-verify', {}, { rejectUnauthorized: false }])('ssl may be %o', (ssl) => {
  expect(optionsOf({ ssl }).ssl).toBe(ssl)
})

test('connect() refuses an option that it does not have', async () => {
  const pool = new Pool()
  await expect(pool.connect({ sgnal: AbortSignal.abort() } as never)).rejects.toThrow(/no option "sgnal"\. Did you mean "signal"\?/)
  await expect(pool.connect({ timeoutMillis: 50 } as never)).rejects.toThrow(/no option "timeoutMillis"\. Known options: signal\./)
  await pool.end()
})
