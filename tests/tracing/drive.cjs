/** Runs the scenario in a traced program, and writes what the tool has seen to the standard output. */

const { run } = require('./scenario.cjs')

exports.drive = async function drive(name, Pool, Query) {
  const config = JSON.parse(process.argv[3])
  const isHurt = process.argv[4] === 'hurt'
  const { startFaultProxy } = await import('@thaw/testkit')
  const proxy = isHurt ? await startFaultProxy({ host: config.host, port: config.port }) : undefined
  const { finish, ...drive } = globalThis.traced
  const seen = await run(Pool, Query, proxy ? { ...config, port: proxy.port } : config, drive, proxy)
  await proxy?.close()
  const spans = await finish()
  process.stdout.write(`\n${JSON.stringify({ name, ...seen, spans })}\n`, () => process.exit(0))
}
