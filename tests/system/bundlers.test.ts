/**
 * The packed packages, with `pg` and all else in one minified file, by the bundlers that are too slow for every day; esbuild and Vite are in tests/package.
 *
 * What breaks without it: class names that a minifier takes away, a `static name` that it turns into an assignment, which throws, conditions that lead to the
 * file for another runtime, and two copies of one module.
 */

import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type PostgresServer, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FACTS } from '../package/facts.ts'
import { type Consumer, install, type Packed, packAll, run } from '../package/packed.ts'
import { runNode, serverOf } from '../platforms/next-server.ts'

const PATIENCE_MILLIS = 600_000
const BUNDLERS = {
  '@rollup/plugin-commonjs': '29.0.3',
  '@rollup/plugin-json': '6.1.0',
  '@rollup/plugin-node-resolve': '16.0.3',
  '@rollup/plugin-terser': '1.0.2',
  next: '16.4.6',
  react: '19.3.1',
  'react-dom': '19.3.1',
  rollup: '4.68.5',
  webpack: '5.112.2',
}

const WEBPACK = `import webpack from 'webpack'
const [entry, filename, kind] = process.argv.slice(2)
const isModule = kind === 'esm'
webpack({
  context: import.meta.dirname, entry, mode: 'production', target: 'node20',
  experiments: { outputModule: isModule },
  output: { path: import.meta.dirname, filename, module: isModule, library: { type: isModule ? 'module' : 'commonjs2' } },
  externals: { 'pg-native': 'commonjs pg-native' },
}, (error, stats) => {
  if (!error && !stats.hasErrors() && !stats.hasWarnings()) return
  console.error(error ?? stats.toString())
  process.exitCode = 1
})`

const ROLLUP = `import commonjs from '@rollup/plugin-commonjs'
import json from '@rollup/plugin-json'
import resolve from '@rollup/plugin-node-resolve'
import terser from '@rollup/plugin-terser'
import { rollup } from 'rollup'
const [input, file, format] = process.argv.slice(2)
const plugins = [resolve({ preferBuiltins: true, exportConditions: ['node'] }), commonjs({ ignore: ['pg-native'] }), json(), terser({ module: true })]
const warned = []
const bundle = await rollup({ input, plugins, onwarn: (warning) => warned.push(warning) })
await bundle.write({ file, format, inlineDynamicImports: true })
// That two modules of pg's need each other is its own affair.
const ours = warned.filter(({ code }) => code !== 'CIRCULAR_DEPENDENCY')
if (ours.length > 0) throw new Error(ours.join())`

const ROUTE = `import thawPg, * as thaw from '@thaw/pg'
import pg from 'pg'
import use from '../../use.cjs'
export const dynamic = 'force-dynamic'
export const GET = async () => Response.json(await use(thaw, pg, thawPg))`
/** Next.js leaves pg out of the bundle, unless it is told to transpile it. */
const NEXT_CONFIG = `export default { typescript: { ignoreBuildErrors: true }, transpilePackages: ['pg', 'pg-pool', 'pg-protocol', 'pg-types', '@thaw/pg', '@thaw/core'] }`

let server: PostgresServer
let packed: Packed
let consumer: Consumer

beforeAll(async () => {
  ;[server, packed] = await Promise.all([startPostgres(), packAll()])
  consumer = await install(packed, { ...BUNDLERS, pg: '8.23.1' })
  const at = (path: string) => join(consumer.folder, path)
  await mkdir(at('app/facts'), { recursive: true })
  await Promise.all([
    writeFile(at('webpack.mjs'), WEBPACK),
    writeFile(at('rollup.mjs'), ROLLUP),
    writeFile(at('next.config.mjs'), NEXT_CONFIG),
    writeFile(at('app/layout.js'), 'export default ({ children }) => <html lang="en"><body>{children}</body></html>'),
    writeFile(at('app/facts/route.js'), ROUTE),
  ])
}, PATIENCE_MILLIS)
afterAll(async () => {
  await consumer?.[Symbol.asyncDispose]()
  await server?.close()
  await packed?.[Symbol.asyncDispose]()
})

const env = () => ({ PATH: process.env['PATH'], DATABASE_URL: server.url })

test.each([
  ['webpack', 'esm', 'webpack-bundle.mjs'],
  ['webpack', 'cjs', 'webpack-bundle.cjs'],
  ['rollup', 'esm', 'rollup-bundle.mjs'],
  ['rollup', 'cjs', 'rollup-bundle.cjs'],
])(
  '%s, as %s',
  async (bundler, format, file) => {
    const { folder } = consumer
    await run(process.execPath, [`${bundler}.mjs`, './bundled.mjs', `./${file}`, format], { cwd: folder, env: env() })
    // By itself: nothing is left to be found in node_modules.
    const elsewhere = join(folder, 'elsewhere', file)
    await mkdir(join(folder, 'elsewhere'), { recursive: true })
    await run('cp', [join(folder, file), elsewhere])
    const { stdout } = await run(process.execPath, [elsewhere], { env: env() })
    expect(JSON.parse(stdout)).toEqual(FACTS)
  },
  PATIENCE_MILLIS,
)

test.each(['turbopack', 'webpack'])(
  'Next.js, by %s',
  async (bundler) => {
    const { folder } = consumer
    const next = join(folder, 'node_modules/next/dist/bin/next')
    await run(process.execPath, [next, 'build', `--${bundler}`], { cwd: folder, env: { ...env(), NEXT_TELEMETRY_DISABLED: '1' } })
    // By itself: of what is bundled nothing is left to be found in node_modules.
    for (const name of ['@thaw', 'pg']) await rename(join(folder, 'node_modules', name), join(folder, 'node_modules', `${name}-${bundler}`))
    const start = runNode(folder, [next, 'start', '--hostname', '127.0.0.1', '--port', '0'], { DATABASE_URL: server.url })
    await using served = await serverOf(start, 'Ready in')
    const response = await fetch(`${served.url}/facts`)
    expect(response.status, served.output).toBe(200)
    expect(await response.json()).toEqual(FACTS)
    for (const name of ['@thaw', 'pg']) await rename(join(folder, 'node_modules', `${name}-${bundler}`), join(folder, 'node_modules', name))
  },
  PATIENCE_MILLIS,
)
