// What is true of the package for its users, however it was loaded: told to the test as JSON.

/** @param {any} thaw what @thaw/pg exports @param {any} pg what pg exports @param {any} standard the default export of @thaw/pg */
module.exports = async function use(thaw, pg, standard) {
  const connectionString = process.env.DATABASE_URL
  const pool = new thaw.Pool({ connectionString, max: 1, trustMillis: 0 })
  const admin = new thaw.Client({ connectionString })
  await admin.connect()
  const first = await pool.query('SELECT pg_backend_pid() AS pid')
  // Ends the pool's idle connection, and waits until it is gone.
  await admin.query('SELECT pg_terminate_backend($1, 10000)', [first.rows[0].pid])
  const second = await pool.query('SELECT $1::text AS answer, pg_backend_pid() AS pid', ['alive'])
  const table = `applied_${process.pid}`
  await admin.query(`CREATE TABLE ${table} (token text)`)
  // Older versions of pg write into the caller's object.
  const insert = { name: 'apply', text: `INSERT INTO ${table} VALUES ($1)`, values: ['it'] }
  await pool.transaction(async (client) => {
    await client.query(insert)
    await client.query(insert)
  })
  await pool.batch([insert, insert])
  const { rowCount } = await pool.query({ ...insert, once: true })
  const again = await pool.query(insert)
  await pool.end()
  await admin.end()
  const facts = {
    poolName: thaw.Pool.name,
    constructorName: Object.getPrototypeOf(pool).constructor.name,
    isStockPool: pool instanceof pg.Pool,
    isStockClient: admin instanceof pg.Client,
    isDefaultComplete: Object.keys(pg).every((name) => name in standard),
    isDefaultOurs: standard.Pool === thaw.Pool && standard.Client === thaw.Client,
    hasTypes: thaw.types === pg.types,
    answer: second.rows[0].answer,
    isNewConnection: second.rows[0].pid !== first.rows[0].pid,
    isAppliedOnce: rowCount === 1 && again.rowCount === 1,
    thrown: new thaw.OptionError({ option: 'a', allowed: 'b', message: 'c' }) instanceof thaw.ThawError,
  }
  console.log(JSON.stringify(facts))
  return facts
}
