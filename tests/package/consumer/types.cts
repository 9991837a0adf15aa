// The same as types.mts, where `import` becomes `require`.
import pg = require('pg')

import thaw, {
  Client,
  OptionError,
  Pool,
  type PoolClient,
  type PoolConfig,
  type QueryResult,
  ThawError,
  type ThawEvent,
  types,
} from '@thaw/pg'

const config: PoolConfig = { connectionString: 'postgres://localhost/app', max: 5, trustMillis: 0 }
const pool: Pool = new Pool(config)
const stock: pg.Pool = pool
const same: pg.Pool = new thaw.Pool(config)
const client: pg.Client = new Client({ host: 'localhost' })

interface Note {
  readonly text: string
}

export async function notes(): Promise<Note[]> {
  const lent: PoolClient = await pool.connect()
  try {
    const result: QueryResult<Note> = await lent.query<Note>('SELECT text FROM notes WHERE id = $1', [1])
    return result.rows
  } finally {
    lent.release()
  }
}

pool.query('SELECT 1', (error: Error, result: QueryResult) => console.log(error, result.rowCount))
pool.on('error', (error) => console.log(error.message))
const stop: () => void = pool.subscribe((event: ThawEvent) => console.log(event.type))
const idle: number = pool.stats().idle
types.setTypeParser(types.builtins.INT8, Number)
// @ts-expect-error: an option of nobody
new Pool({ trustMilis: 0 })

// In place of node-postgres' own class, and under classes of the user's own.
const stockClass: typeof pg.Pool = Pool
const stockModule: typeof pg = thaw
class Counted extends Pool {
  ends = 0
  override connect(): Promise<PoolClient>
  override connect(...given: unknown[]): void
  override connect(...given: unknown[]): unknown {
    return Reflect.apply(super.connect, this, given)
  }
  override end(): Promise<void> {
    this.ends++
    return super.end()
  }
  // biome-ignore lint/suspicious/noExplicitAny: as people write it
  override query(...given: any[]): any {
    return Reflect.apply(super.query, this, given)
  }
}
class Told extends Client {
  override end(): Promise<void> {
    return super.end()
  }
  // biome-ignore lint/suspicious/noExplicitAny: as people write it
  override query(...given: any[]): any {
    return Reflect.apply(super.query, this, given)
  }
}
export const counted: Pool = new Counted(config)
export const told: pg.Client = new Told(config)
export const bounded = (lent: PoolClient): Promise<QueryResult> => lent.query({ text: 'SELECT 1', query_timeout: 1000 })

// Rows as arrays, with options of ours, and without.
const asArray = { text: 'SELECT 1', rowMode: 'array' } as const
const signal = AbortSignal.timeout(1000)
export const arrays = async (lent: PoolClient): Promise<(number | undefined)[]> => {
  const results = await Promise.all([
    pool.query<[number]>({ text: 'SELECT 1', rowMode: 'array' }),
    pool.query<[number]>({ text: 'SELECT $1', values: [1], rowMode: 'array', idempotent: true }),
    pool.query<[number]>({ text: 'SELECT 1', rowMode: 'array', signal }),
    pool.query<[number]>({ ...asArray, query_timeout: 1000 }),
    pool.query<[number]>({ ...asArray, once: true, signal }),
    lent.query<[number]>({ ...asArray, signal }),
    new Client().query<[number]>({ ...asArray, query_timeout: 1000 }),
  ])
  pool.query<[number]>({ ...asArray, signal }, (_, { rows }) => rows[0]?.[0].toFixed())
  const untyped = await pool.query({ ...asArray, signal })
  return [...results.map(({ rows }) => rows[0]?.[0]), untyped.rows[0]?.[0]]
}

export { client, idle, OptionError, same, stock, stockClass, stockModule, stop }
export const ended: Promise<void> = pool.end({ timeoutMillis: 100 })

// The default export is a namespace of types, too, as node-postgres' is.
interface Names {
  readonly pool: thaw.Pool
  readonly lent: thaw.PoolClient
  readonly client: thaw.Client
  readonly config: thaw.PoolConfig & thaw.ClientConfig
  readonly result: thaw.QueryResult<Note>
  readonly rows: thaw.QueryArrayResult<[number]>
  readonly query: thaw.QueryConfig<[number]> | thaw.QueryArrayConfig | thaw.QueryConfig
  readonly field: thaw.FieldDef
  readonly error: thaw.DatabaseError
  readonly others: [thaw.Submittable, thaw.Notification, thaw.Query<Note>, thaw.CustomTypesConfig, thaw.QueryResultRow, thaw.TypeOverrides]
}
export function named({ result, rows, query, error }: Names): [pg.QueryResult<Note>, string | undefined, number | undefined] {
  return [result, error.code ?? query.text, rows.rows[0]?.[0].toFixed().length]
}
export const ours2: Pick<Names, 'pool' | 'config'> = { pool, config }

// Options of ours with the values behind them, as node-postgres takes them for its own.
export const behind = async (lent: PoolClient): Promise<(string | undefined)[]> => {
  const results = await Promise.all([
    pool.query<Note>({ text: 'SELECT $1 AS text', idempotencyKey: 'k' }, ['a']),
    pool.query<Note>({ text: 'SELECT $1 AS text', once: true }, ['a']),
    pool.query<Note>({ text: 'SELECT $1 AS text', idempotent: true }, ['a']),
    lent.query<Note>({ text: 'SELECT $1 AS text', signal }, ['a']),
  ])
  const keyed = await pool.query<[number]>({ ...asArray, idempotencyKey: 'k' }, [1])
  return [...results.map(({ rows }) => rows[0]?.text), keyed.rows[0]?.[0].toFixed()]
}
// A batch whose rows have a type, and one whose rows have none.
export const batched = async (): Promise<(string | undefined)[]> => {
  const typed = await pool.batch<Note>([{ text: 'SELECT $1 AS text', values: ['a'] }, 'SELECT 1'])
  const untyped = await pool.batch(['SELECT 1 AS n'])
  // @ts-expect-error: a column that the rows have not
  void typed[0]?.rows[0]?.title
  return [typed[0]?.rows[0]?.text, untyped[0]?.rows[0].n.toFixed()]
}

// Numbers of the environment's, and the options are still node-postgres'.
const fromEnvironment: PoolConfig = {
  trustMillis: process.env['TRUST_MILLIS'],
  probeTimeoutMillis: process.env['PROBE_MILLIS'],
  releaseTimeoutMillis: process.env['RELEASE_MILLIS'],
  prepare: process.env['PREPARE'],
  fleet: { name: 'orders', sessions: process.env['SESSIONS'], keep: process.env['KEEP'] },
}
export const stockFromEnvironment: pg.PoolConfig = fromEnvironment

// The kind of an error narrows it to its class; where the root is wanted it fits, as ever.
export function whatNow(error: unknown): string {
  if (!ThawError.is(error)) throw error
  switch (error.kind) {
    case 'acquire-timeout':
    case 'connect':
      return `${error.stage} ${error.address ?? ''}`
    case 'outcome-unknown':
      return error.evidence.statement
    case 'idempotency-key':
      return error.reason
    default:
      return known(error)
  }
}
function known(error: ThawError): string {
  return error instanceof OptionError ? error.option : `${error.kind} ${error.retryable}`
}
export const isOurs: (error: unknown) => error is ThawError = ThawError.is
export const ourErrors = (errors: Error[]): ThawError[] => errors.filter(ThawError.is)
