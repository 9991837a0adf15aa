/**
 * What an app does with its pool, each request under a span of its own. The same on `pg` and on Thaw; what is done to the connections is done to Thaw's
 * alone, because `pg` does not survive it.
 */

const Cursor = require('pg-cursor')
const QueryStream = require('pg-query-stream')

/**
 * @param app - `name`, `Pool`, `Query`, and `neon` where there is one: of the package to use. `config`: for the Pool. `proxy`: a fault proxy of the testkit, or undefined: nothing
 * is done to the connections. `request(title, work)`, `collect()`, `breaksSubmittables`: the tool's, from its file in this folder.
 */
exports.run = async function run({ name, Pool, Query, neon, config, proxy, request, collect, breaksSubmittables }) {
  const seen = {}
  const isThaw = name.startsWith('@thaw/')
  // First, since OpenTelemetry counts all pools as one.
  if (collect) seen.metrics = await measure(new Pool({ ...config, max: 2 }), { request, collect })

  // Three connections for nine callers: most of them wait.
  let pool = new Pool({ ...config, max: 3, hedge: false, ...(isThaw && { share: true }) })
  const byPromise = (text) => pool.query(text)
  const byCallback = (text) =>
    new Promise((resolve, reject) => pool.query(text, (error, result) => (error ? reject(error) : resolve(result))))
  const byValues = (text) => pool.query(`${text} where $1::text is not null`, ['value'])
  const byName = (text) => pool.query({ name: 'named', text: 'select $1::text', values: [text] })
  const inTransaction = async (text) => {
    const client = await pool.connect()
    await client.query('begin')
    await client.query(text)
    await client.query('commit')
    client.release()
  }
  const inTransactionByCallback = (text) =>
    new Promise((resolve, reject) => {
      pool.connect((error, client, done) => {
        if (error) return reject(error)
        client.query('begin', () => {
          client.query(text, () => {
            client.query('commit', () => {
              done()
              resolve()
            })
          })
        })
      })
    })
  const all = [byPromise, inTransaction, byCallback, byValues, inTransactionByCallback, byName]
  /** Each of the ways, at the same time. */
  const together = (title) =>
    Promise.all(Array.from({ length: 9 }, (_, index) => request(`${title} ${index}`, () => all[index % 6](`select '${title} ${index}'`))))

  await together('cold')
  await together('warm')
  // Where nobody looks, Thaw's would share connections.
  await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      request(`at once ${index}`, async () => {
        seen.wrongRows ||= (await pool.query('select $1::int as n', [index])).rows[0].n !== index
      }),
    ),
  )
  if (seen.wrongRows !== false) throw new Error('a read was not answered, or with the row of another')
  await request('refused', () => pool.query('select no_such_column'))
  // Neon's own pool waits for the end of the statement.
  if (!neon || isThaw) await request('timed out', () => pool.query({ text: 'select pg_sleep(60)', query_timeout: 100 }))
  if (isThaw) await request('aborted', () => pool.query({ text: 'select pg_sleep(60)', signal: AbortSignal.timeout(500) }))
  await request('wait timed out', async () => {
    const clients = await Promise.all([pool.connect(), pool.connect(), pool.connect()])
    if (isThaw) await pool.connect({ signal: AbortSignal.timeout(100) }).catch(() => {})
    for (const client of clients) client.release()
  })
  await request('submittables', async () => {
    const client = await pool.connect()
    if (breaksSubmittables || neon) return client.release()
    const cursor = client.query(new Cursor('select generate_series(1, 9)'))
    await cursor.read(5)
    await cursor.close()
    for await (const _ of client.query(new QueryStream('select generate_series(1, 8)'))) {
    }
    await new Promise((resolve, reject) => client.query(new Query('select 7')).on('end', resolve).on('error', reject))
    client.release()
  })
  await request('one after another', async () => {
    for (const text of ['select 1', 'select 2']) await pool.query(text)
  })
  await pool.end()

  // Nothing is trusted: a read takes the question with it, everything else is asked first.
  pool = new Pool({ ...config, max: 3, hedge: false, ...(isThaw && { trustMillis: 0 }) })
  await together('unproven, cold')
  await together('unproven')
  if (proxy) proxy.cut('fin')
  await together('after a cut')
  if (proxy) proxy.cut('rst-on-next-byte')
  await together('after a silent cut')
  await pool.end()

  pool = new Pool({ ...config, max: 3, hedge: false })
  await request('filling', () => Promise.all([byPromise('select 1'), byPromise('select 2'), byPromise('select 3')]))
  // Sent, and its connection lost: sent again.
  for (const [index, way] of [byPromise, byCallback, byValues, byName].entries()) {
    const text = `select 'sent again ${index}'`
    if (proxy) proxy.loseNextAnswer(neon ? {} : { containing: `sent again ${index}` })
    await request(`sent again ${index}`, () => way(text))
  }
  // Never executed: the write is sent again as well.
  await request('table', () => pool.query('create table if not exists written (line text)'))
  if (proxy && !neon) proxy.cut('rst')
  await request('a write', () => pool.query("insert into written values ('a write')"))
  await pool.end()

  // The answer to the question does not come: another connection is faster.
  pool = new Pool({ ...config, max: 3, ...(isThaw && { trustMillis: 0 }) })
  await request('one', () => byPromise("select 'one'"))
  if (proxy) proxy.cut('drop')
  await request('hedged', () => byPromise("select 'hedged'"))
  await request('ended', () => pool.end(isThaw ? { timeoutMillis: 1000 } : undefined))
  await request('after the end', async () => {
    await pool.query("select 'after the end'").catch(() => {})
    await pool.connect().catch(() => {})
  })
  if (neon) await request('over HTTP', () => neon(config.connectionString)`select 'over HTTP'`)
  return { ...seen, struck: proxy?.counters.struck }
}

/** Two connections, and four who want one. */
async function measure(pool, { request, collect }) {
  const seen = {}
  await request('measured', async () => {
    const first = await pool.connect()
    const second = await pool.connect()
    await first.query('select 1')
    await new Promise((resolve) => second.query('select no_such_column', resolve))
    // The server says that it is ready a moment after the error: until then the connection would count as used when it is released.
    await second.query('select 1')
    const third = pool.connect()
    const fourth = pool.connect()
    first.release()
    const client = await third
    seen.busy = await collect()
    second.release()
    client.release()
    ;(await fourth).release()
    seen.idle = await collect()
    let left = 2
    const removed = new Promise((resolve) => pool.on('remove', () => --left || resolve()))
    await Promise.all([pool.end(), removed])
    seen.ended = await collect()
  })
  return seen
}
