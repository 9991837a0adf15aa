/**
 * What Neon's proxy does with `POST /sql`. The protocol is not documented: it is what @neondatabase/serverless 1.2 sends and reads, and what the proxy's
 * published source does (https://github.com/neondatabase/neon, proxy/src/serverless/sql_over_http.rs).
 */

import type { IncomingHttpHeaders } from 'node:http'
import type pg from 'pg'
import { COMPUTE_UNREACHABLE, type ComputeAddress } from './neon-compute.ts'

/** What goes back to the driver. */
export interface SqlAnswer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: object
}

/** A request, and how to reach the database for it. */
export interface SqlRequest {
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** Rejects if the database cannot be reached. */
  connect(): Promise<ComputeAddress>
  /** Told of the backend that works on it. */
  began(pid: number): void
}

interface Statement {
  readonly query: string
  readonly params?: readonly unknown[]
  readonly arrayMode?: boolean
}

/** A request that makes no sense, in Neon's own words. */
class BadRequest extends Error {}

const LEVELS: Readonly<Record<string, string>> = {
  ReadUncommitted: 'READ UNCOMMITTED',
  ReadCommitted: 'READ COMMITTED',
  RepeatableRead: 'REPEATABLE READ',
  Serializable: 'SERIALIZABLE',
}
const BATCH_HEADERS = ['neon-batch-isolation-level', 'neon-batch-read-only', 'neon-batch-deferrable'] as const

/** Runs the statement, or the transaction, on a connection of its own. Never rejects. */
export async function answerSql(request: SqlRequest): Promise<SqlAnswer> {
  try {
    const login = loginOf(request.headers)
    const wanted = parse(request.body)
    const begin = beginOf(request.headers)
    const client = await connect(request, login)
    try {
      return await run(client, wanted, request.headers, begin)
    } finally {
      client.end().catch(() => {})
    }
  } catch (error) {
    return refusal(error as Error)
  }
}

async function run(client: pg.Client, wanted: Statement | readonly Statement[], headers: IncomingHttpHeaders, begin: string) {
  const execute = (statement: Statement) => executeOne(client, statement, headers)
  if (!Array.isArray(wanted)) return { status: 200, body: await execute(wanted as Statement) }
  const results: object[] = []
  await client.query(begin)
  try {
    for (const statement of wanted as readonly Statement[]) results.push(await execute(statement))
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {})
    throw error
  }
  const echoed = BATCH_HEADERS.flatMap((name) => (headers[name] === undefined ? [] : [[name, String(headers[name])]]))
  return { status: 200, headers: Object.fromEntries(echoed) as Record<string, string>, body: { results } }
}

async function executeOne(client: pg.Client, { query, params = [], arrayMode }: Statement, headers: IncomingHttpHeaders): Promise<object> {
  const isArray = arrayMode ?? headers['neon-array-mode'] === 'true'
  const isRaw = headers['neon-raw-text-output'] === 'true'
  const { command, rowCount, rows, fields } = await client.query({
    text: query,
    values: [...params],
    queryMode: 'extended',
    ...(isArray && { rowMode: 'array' }),
    ...(isRaw && { types: { getTypeParser: () => (text: string) => text } }),
  } as pg.QueryConfig)
  return { command, rowCount, rows, fields, rowAsArray: isArray }
}

async function connect(request: SqlRequest, login: object): Promise<pg.Client> {
  const { default: pg } = await import('pg')
  const address = await request.connect().catch(() => undefined)
  if (!address) throw new ComputeUnreachable()
  const { host, port } = address
  const client = new pg.Client({ ...login, host, port })
  // Its statements are told of a connection that dies.
  client.on('error', () => {})
  await client.connect().catch((error: Error) => {
    throw isSqlState(error) ? error : new ComputeUnreachable()
  })
  request.began((client as unknown as { processID: number }).processID)
  return client
}

function loginOf(headers: IncomingHttpHeaders): object {
  const text = headers['neon-connection-string']
  if (typeof text !== 'string') throw new BadRequest('invalid header: neon-connection-string')
  if (!/^postgres(ql)?:/.test(text)) throw new BadRequest('incorrect scheme')
  if (!URL.canParse(text)) throw new BadRequest('invalid connection string')
  const url = new URL(text)
  const database = decodeURIComponent(url.pathname.slice(1))
  if (!database) throw new BadRequest('missing database name')
  if (!url.username) throw new BadRequest('missing username')
  const application_name = url.searchParams.get('application_name') ?? 'neon'
  const options = url.searchParams.get('options') ?? undefined
  return { user: decodeURIComponent(url.username), password: decodeURIComponent(url.password), database, application_name, options }
}

function parse(body: string): Statement | readonly Statement[] {
  try {
    const payload = JSON.parse(body) as { queries?: readonly Statement[] } & Statement
    const statements = payload.queries ?? [payload]
    if (statements.every(({ query }) => typeof query === 'string')) return payload.queries ?? payload
  } catch {}
  throw new BadRequest('could not parse the HTTP request body')
}

function beginOf(headers: IncomingHttpHeaders): string {
  const [level, readOnly, deferrable] = BATCH_HEADERS.map((name) => headers[name])
  const isolation = level === undefined ? '' : ` ISOLATION LEVEL ${LEVELS[String(level)]}`
  if (level !== undefined && !Object.hasOwn(LEVELS, String(level))) throw new BadRequest('invalid isolation level')
  return `BEGIN${isolation}${readOnly === 'true' ? ' READ ONLY' : ''}${deferrable === 'true' ? ' DEFERRABLE' : ''}`
}

class ComputeUnreachable extends Error {}

const FIELDS = ['severity', 'code', 'detail', 'hint', 'position', 'internalPosition', 'internalQuery', 'where'] as const
const OBJECTS = ['schema', 'table', 'column', 'dataType', 'constraint', 'file', 'line', 'routine'] as const

function refusal(error: Error): SqlAnswer {
  if (error instanceof ComputeUnreachable) return { status: 500, body: { message: COMPUTE_UNREACHABLE, code: '' } }
  if (error instanceof BadRequest) return { status: 400, body: { message: error.message, code: '' } }
  // The database went away under the statement: words, and no code.
  if (!isSqlState(error)) return { status: 400, body: { message: 'connection closed', code: '' } }
  const fields = error as unknown as Record<string, unknown>
  const told = [...FIELDS, ...OBJECTS].map((name) => [name, fields[name] ?? null])
  return { status: 400, body: { message: error.message, ...Object.fromEntries(told) } }
}

function isSqlState(error: Error): boolean {
  return 'severity' in error
}
