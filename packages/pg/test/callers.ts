/** Plays a program on a pool, and keeps the books: whose row came where, who was told, who still waits. */

import type { ScriptedFault, StoppedClocks } from '@thaw/testkit'
import type pg from 'pg'
import Cursor from 'pg-cursor'
import { isCalm, type Program, type Statement, type Step } from './program.ts'

/** Where a program runs: time, and what happens to it and to the wire. */
export interface World {
  /** Begins the name of each caller. Default: nothing. */
  readonly id?: string
  /** Lets time pass, so that everything that is due happens. */
  pass(millis: number): Promise<void>
  later(millis: number, action: () => void): void
  freeze(millis: number, stops: StoppedClocks): Promise<void>
  fault(which: number, how: ScriptedFault): Promise<void> | void
  setMood(mood: 'well' | 'refusing' | 'deaf'): Promise<void> | void
  /** What was seen at the other end that must not be. */
  complaints(program: Program): readonly string[]
  /** The longest that anybody may still wait, when all is well again. */
  readonly patienceMillis: number
}

interface Held {
  readonly client: pg.PoolClient
  release(destroy?: boolean): void
}

interface TransactionClient extends pg.PoolClient {
  transaction(work: (inner: TransactionClient) => Promise<unknown>): Promise<unknown>
}

interface Transacting {
  transaction(work: (client: TransactionClient) => Promise<unknown>): Promise<unknown>
}

interface Row {
  readonly caller: string
}

const ROWS = 7
/** More than what PostgreSQL keeps until it is ready. */
const LARGE = 9000
const SERIES = `from generate_series(1, ${ROWS})`

/** The same for real and scripted servers. Each row has the name of whom it is for. */
function configOf({ kind, sleep }: Statement, name: string): pg.QueryConfig {
  const pause = `pg_sleep(${sleep / 1000})`
  if (kind === 'param') return { text: `select $1::text as caller, ${pause}`, values: [name] }
  if (kind === 'named') return { name: `sleep ${sleep}`, text: `select $1::text as caller, ${pause}`, values: [name] }
  if (kind === 'rows') return { text: `select '${name}' as caller ${SERIES}` }
  if (kind === 'write') return { text: `insert into callers select '${name}' from ${pause} returning caller` }
  if (kind === 'param-write') return { text: `insert into callers select $1 from ${pause} returning caller`, values: [name] }
  if (kind.endsWith('alike')) {
    const values = [name, kind === 'failing alike' ? 0 : 1, sleep / 1000, kind === 'large alike' ? LARGE : 0]
    return { text: `select $1::text as caller, 1 / $2::int, pg_sleep($3::float8), repeat('x', $4::int) as filler`, values }
  }
  if (kind === 'failing') return { text: `select '${name}' as caller, 1/0, ${pause}` }
  return { text: `select '${name}' as caller, ${pause}` }
}

const isFailing = ({ kind }: Statement): boolean => kind === 'failing' || kind === 'failing alike'

/** Why a program has failed. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError'
}

const ignore = () => {}

/** Throws an {@link InvariantError} when a rule was broken. The pool is the program's own. */
export async function play(program: Program, pool: pg.Pool, world: World, unhandled: readonly unknown[] = []): Promise<void> {
  const callers = new Callers(program, pool, world)
  try {
    for (const step of program.steps) {
      await callers.step(step)
      callers.check(unhandled)
    }
    await callers.finish()
    callers.check(unhandled)
  } catch (error) {
    // Thrown into the event loop, where it ends the process.
    throw error instanceof InvariantError ? error : new InvariantError(`thrown: ${error}`, { cause: error })
  } finally {
    callers.leave()
  }
}

class Callers {
  readonly #program: Program
  readonly #pool: pg.Pool
  readonly #world: World
  readonly #isCalm: boolean
  readonly #isThaw: boolean
  readonly #complaints: string[] = []
  readonly #open = new Set<string>()
  readonly #held: Held[] = []
  readonly #released: pg.PoolClient[] = []
  #names = 0
  #isOver = false

  constructor(program: Program, pool: pg.Pool, world: World) {
    this.#program = program
    this.#pool = pool
    this.#world = world
    this.#isCalm = isCalm(program)
    this.#isThaw = 'subscribe' in pool
  }

  check(unhandled: readonly unknown[]): void {
    const found = [...this.#complaints, ...this.#world.complaints(this.#program), ...unhandled.map((error) => `unhandled: ${error}`)]
    if (found.length > 0) throw new InvariantError(found.join('\n'))
  }

  async step(step: Step): Promise<void> {
    if (step.do === 'query') this.#query(step, step.callback)
    if (step.do === 'burst') for (const statement of step.of) this.#query(statement, false)
    if (step.do === 'bounded query') this.#boundedQuery(step, step.after)
    if (step.do === 'connect') this.#connect(step)
    if (step.do === 'bounded connect') this.#boundedConnect(step.after)
    if (step.do === 'use') this.#use(this.#held[step.which % Math.max(1, this.#held.length)]?.client, step, 'held')
    if (step.do === 'chain') this.#chain(step)
    if (step.do === 'release') this.#release(step.which, step.how)
    if (step.do === 'use a released one') this.#use(this.#released[step.which % Math.max(1, this.#released.length)], step, 'released')
    if (step.do === 'listen') this.#listen(step)
    if (step.do === 'transaction') this.#transaction(step)
    if (step.do === 'pool transaction') this.#poolTransaction(step)
    if (step.do === 'cursor') this.#cursor(step)
    if (step.do === 'freeze') await this.#world.freeze(step.millis, step.stops)
    if (step.do === 'fault') await this.#world.fault(step.which, step.how)
    if (step.do === 'refuse') await this.#world.setMood(step.mood)
    await this.#world.pass(step.do === 'wait' || step.do === 'refuse' ? step.millis : 0)
    if (step.do === 'refuse') await this.#world.setMood('well')
  }

  /** All is well again, and callers give back what they have: then each has been told, and there is room for as many as ever. */
  async finish(): Promise<void> {
    this.#isOver = true
    for (const name of ['release', 'acquire', 'connect']) this.#pool.removeAllListeners(name)
    await this.#world.setMood('well')
    while (this.#held.length > 0) this.#release(0, 'plain')
    await this.#passUntil(() => this.#open.size === 0, this.#world.patienceMillis)
    if (this.#open.size > 0) this.#complain(`still waiting: ${[...this.#open].join(', ')}`)
    const { max } = this.#program
    const last: Held[] = []
    let isAsking = true
    const ask = (place: number) => {
      const got = (held: Held) => {
        last.push(held)
        this.#statement(`last ${place}`, held.client, { kind: 'simple', sleep: 0 }, true)
      }
      // On a slow machine opening a connection may take longer than a caller waits.
      this.#acquire('last', got, () => this.#world.later(100, () => isAsking && ask(place)))
    }
    for (let place = 0; place < max; place++) ask(place)
    await this.#passUntil(() => last.length === max && this.#open.size === 0, this.#world.patienceMillis)
    isAsking = false
    if (last.length < max || this.#open.size > 0)
      this.#complain(`lost places: ${last.length} of ${max} served, ${[...this.#open].join(', ')}`)
    for (const held of last) held.release()
    let hasEnded = false
    this.#pool.end().then(() => {
      hasEnded = true
    }, ignore)
    await this.#passUntil(() => hasEnded, this.#world.patienceMillis)
    if (!hasEnded) this.#complain('end() does not end')
  }

  /** Whatever a failed program has left. */
  leave(): void {
    this.#isOver = true
    for (const held of this.#held.splice(0)) held.release(true)
    if (!this.#pool.ending) this.#pool.end().catch(ignore)
  }

  async #passUntil(isDone: () => boolean, millis: number): Promise<void> {
    for (let passed = 0, next = 1; passed < millis && !isDone(); passed += next, next = Math.min(5000, next * 4))
      await this.#world.pass(next)
  }

  #complain(what: string): void {
    this.#complaints.push(what)
  }

  // ------------------------------------------------------------------------ calls

  /** Each call has a name, and is open until it has been told something. Twice is once too often. */
  #begin(label: string): { name: string; told: () => void } {
    const name = `${this.#world.id ?? ''}${label}-${this.#names++}`
    let isTold = false
    this.#open.add(name)
    const told = () => {
      if (isTold) this.#complain(`${name} was told twice`)
      isTold = true
      this.#open.delete(name)
    }
    return { name, told }
  }

  /** @param must It may not fail, as long as nothing has happened that it could fail by. */
  #judge(name: string, statement: Statement, must: boolean, error: Error | undefined, result: pg.QueryResult<Row> | undefined): void {
    const rows = result?.rows ?? []
    if (rows.some(({ caller }) => caller !== name)) this.#complain(`${name} got the rows of ${rows.map(({ caller }) => caller).join(', ')}`)
    else if (!error && isFailing(statement)) this.#complain(`${name} succeeded, but had to be refused`)
    else if (!error && rows.length !== (statement.kind === 'rows' ? ROWS : 1)) this.#complain(`${name} got ${rows.length} rows`)
    const isRefused = (error as { code?: string } | undefined)?.code === '22012'
    if (isRefused && !isFailing(statement)) this.#complain(`${name} got the error of another statement`)
    if (must && this.#isCalm && error && !isRefused) this.#complain(`${name} failed, and nothing was the matter: ${error.message}`)
  }

  #query(statement: Statement, isCallback: boolean): void {
    const { name, told } = this.#begin('query')
    const settle = (error: Error | undefined, result?: pg.QueryResult<Row>) => {
      told()
      this.#judge(name, statement, true, error, result)
    }
    const config = configOf(statement, name)
    if (isCallback) this.#pool.query(config, (error: Error | undefined, result) => settle(error, result))
    else this.#pool.query<Row>(config).then((result) => settle(undefined, result), settle)
  }

  #boundedQuery(statement: Statement, after: number): void {
    const { name, told } = this.#begin('bounded')
    const settle = (error: Error | undefined, result?: pg.QueryResult<Row>) => {
      told()
      this.#judge(name, statement, false, error, result)
    }
    const abort = new AbortController()
    const config = { ...configOf(statement, name), signal: abort.signal }
    this.#pool.query<Row>(config).then((result) => settle(undefined, result), settle)
    this.#world.later(after, () => abort.abort())
  }

  #statement(label: string, client: pg.PoolClient, statement: Statement, must: boolean): Promise<unknown> {
    const { name, told } = this.#begin(label)
    const settle = (error: Error | undefined, result?: pg.QueryResult<Row>) => {
      told()
      this.#judge(name, statement, must, error, result)
      if (error) throw error
    }
    // pg may throw, for a client that it has ended.
    const asked = new Promise<pg.QueryResult<Row>>((resolve) => resolve(client.query<Row>(configOf(statement, name))))
    const ended = asked.then((result) => settle(undefined, result), settle)
    ended.catch(ignore)
    return ended
  }

  #use(client: pg.PoolClient | undefined, statement: Statement, label: string): void {
    if (client) this.#statement(label, client, statement, false)
  }

  /** It is not awaited. */
  #chain({ which, of, release }: Extract<Step, { do: 'chain' }>): void {
    const held = this.#held[which % Math.max(1, this.#held.length)]
    if (!held) return
    this.#oneByOne('chain', held.client, of).catch(ignore)
    if (release) this.#release(this.#held.indexOf(held), 'plain')
  }

  async #oneByOne(label: string, client: pg.PoolClient, of: readonly Statement[]): Promise<void> {
    for (const statement of of) await this.#statement(label, client, statement, false)
  }

  #acquire(label: string, got: (held: Held) => void, failed: () => void = ignore): void {
    const { name, told } = this.#begin(label)
    this.#pool.connect().then(
      (client) => {
        told()
        // As its users must.
        if (!this.#isThaw && client.listenerCount('error') === 0) client.on('error', ignore)
        // The next loan of this client puts another one in its place.
        const { release } = client
        got({ client, release: (destroy) => release.call(client, destroy) })
      },
      (error: Error) => {
        told()
        if (this.#isCalm) this.#complain(`${name} got no client, and nothing was the matter: ${error.message}`)
        else failed()
      },
    )
  }

  #connect({ of, release }: Extract<Step, { do: 'connect' }>): void {
    this.#acquire('connect', (held) => {
      this.#held.push(held)
      const ended = this.#oneByOne('held', held.client, of).catch(ignore)
      const giveBack = () => this.#release(this.#held.indexOf(held), 'plain')
      if (release === 'at once' || this.#isOver) giveBack()
      else if (release === 'at the end') ended.then(giveBack)
    })
  }

  #boundedConnect(after: number): void {
    // pg.Pool takes a function only.
    if (!this.#isThaw) return
    const { told } = this.#begin('bounded connect')
    const abort = new AbortController()
    const connect = this.#pool.connect as (options: object) => Promise<pg.PoolClient>
    connect.call(this.#pool, { signal: abort.signal }).then((client) => {
      told()
      client.release()
    }, told)
    this.#world.later(after, () => abort.abort())
  }

  #release(which: number, how: 'plain' | 'twice' | 'destroy'): void {
    const [held] = which < 0 ? [] : this.#held.splice(which % Math.max(1, this.#held.length), 1)
    if (!held) return
    held.release(how === 'destroy')
    this.#released.push(held.client)
    try {
      if (how === 'twice') held.release()
    } catch {
      // As pg-pool does.
    }
  }

  #listen({ to, once, kind, sleep }: Extract<Step, { do: 'listen' }>): void {
    const listener = (...values: unknown[]) => {
      // `release` tells of an error first.
      const client = values.find((value) => value instanceof Object && 'query' in value) as pg.PoolClient | undefined
      if (client) this.#statement(`in ${to}`, client, { kind, sleep }, false)
    }
    if (once) this.#pool.once(to as 'connect', listener as never)
    else this.#pool.on(to as 'connect', listener as never)
  }

  #transaction({ of, end }: Extract<Step, { do: 'transaction' }>): void {
    this.#acquire('transaction', async (held) => {
      // BEGIN and COMMIT take their time too: until then its place is taken.
      const { told } = this.#begin('whole transaction')
      try {
        await held.client.query('BEGIN')
        await this.#oneByOne('in transaction', held.client, of)
        // pg.Pool hands it out to the next caller as it is.
        if (end !== 'none' || !this.#isThaw) await held.client.query(end === 'none' ? 'ROLLBACK' : end)
      } catch {
        await held.client.query('ROLLBACK').catch(ignore)
      }
      held.release()
      this.#released.push(held.client)
      told()
    })
  }

  #poolTransaction({ of, swallows, inPart }: Extract<Step, { do: 'pool transaction' }>): void {
    if (!this.#isThaw) return
    const { told } = this.#begin('pool transaction')
    const one = (client: TransactionClient, { kind, sleep }: Statement): Promise<unknown> => {
      // The script undoes nothing, and the function may run again.
      const read = { kind: kind.endsWith('write') ? 'param' : kind, sleep } as const
      if (!inPart) return this.#statement('inside', client, read, false)
      return client.transaction((inner) => this.#statement('in part', inner, read, false))
    }
    const whole = (this.#pool as unknown as Transacting).transaction(async (client) => {
      for (const statement of of) await (swallows ? one(client, statement).catch(() => this.#pause()) : one(client, statement))
    })
    whole.then(told, told)
  }

  /** What is under way ends meanwhile: a connection, say. */
  #pause(): Promise<void> {
    return new Promise((resolve) => this.#world.later(1, resolve))
  }

  #cursor({ which, read, close }: Extract<Step, { do: 'cursor' }>): void {
    const client = this.#held[which % Math.max(1, this.#held.length)]?.client
    if (!client) return
    const { name, told } = this.#begin('cursor')
    const cursor = client.query(new Cursor<Row>(`select '${name}' as caller ${SERIES}`))
    cursor.read(read, (error: Error | undefined, rows: Row[] = []) => {
      told()
      if (rows.some(({ caller }) => caller !== name)) this.#complain(`${name} got the rows of others`)
      // Who reads to the end has closed it.
      if (close || (!error && rows.length < ROWS)) cursor.close(ignore as never)
      else if (!error) cursor.read(1, ignore)
    })
  }
}
