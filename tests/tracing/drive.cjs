/** Runs the scenario in a traced program, and writes what the tool has seen to the standard output. */

const { run } = require('./scenario.cjs')

exports.drive = async function drive(name, { Pool, Query, neon, neonConfig }) {
  const { driver, ...config } = JSON.parse(process.argv[3])
  const isHurt = process.argv[4] === 'hurt'
  const { startFaultProxy } = await import('@thaw/testkit')
  const target = driver ? new URL(driver.fetchEndpoint) : config
  const proxy = isHurt ? await startFaultProxy({ host: target.hostname ?? target.host, port: Number(target.port) }) : undefined
  if (driver) Object.assign(neonConfig, driver, proxy && { wsProxy: `127.0.0.1:${proxy.port}/v2` })
  else if (proxy) config.port = proxy.port
  const { finish, ...tool } = globalThis.traced
  const seen = await run({ name, Pool, Query, neon, config, proxy, ...tool })
  await proxy?.close()
  const spans = await finish()
  process.stdout.write(`\n${JSON.stringify({ ...seen, spans })}\n`, () => process.exit(0))
}
