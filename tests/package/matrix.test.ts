/**
 * The bundle of an app decides nothing about correctness: the same tarballs work in Node, Bun, Deno, workerd and the Edge runtime, imported and required, bundled with any
 * conditions, minified or not. OpenNext, for one, runs in a Worker what Next.js has bundled for Node; Vite loads in Node what it resolves for a Worker.
 */

import { AsyncLocalStorage } from 'node:async_hooks'
import { realpath, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { type Neon, startNeon } from '@thaw/testkit'
import { EdgeRuntime } from 'edge-runtime'
import { type BuildOptions, build } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { build as buildByVite } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { asCommonJs, asModule, type Report } from './app.ts'
import { type Consumer, install, type Packed, packAll, run } from './packed.ts'

const CONDITIONS = [[], ['workerd'], ['edge-light'], ['edge-light', 'workerd']]
const BUNDLES = CONDITIONS.flatMap((conditions) => [false, true].map((minify) => ({ conditions, minify })))

const ANSWERED: Report = { pool: 1, client: 1, unbound: 1, webSockets: 1, webSocketsUnbound: 1, http: 1, isWrapped: true }
const UNBOUND = expect.stringContaining('a function of the bindings')
const IN_NODE: Report = { ...ANSWERED, unbound: UNBOUND, webSocketsUnbound: UNBOUND }
const NO_TCP = expect.stringContaining('@thaw/neon')
const ON_EDGE: Report = { ...IN_NODE, pool: NO_TCP, client: NO_TCP, unbound: NO_TCP }

/** What plain Node and Workers lack, and Next.js puts there. */
const LIKE_NEXT = "import { AsyncLocalStorage } from 'node:async_hooks'; globalThis.AsyncLocalStorage ??= AsyncLocalStorage;"
/** pg's own CommonJS asks for node: modules by `require`, which an ES module has not. */
const WITH_REQUIRE = "import { createRequire } from 'node:module'; const require = createRequire('/');"

let neon: Neon
let packed: Packed
let consumer: Consumer

beforeAll(async () => {
  ;[neon, packed] = await Promise.all([startNeon(), packAll()])
  const ours = { '@thaw/neon': '0.1.0', '@thaw/next': '0.1.0', bun: '1.4.5', deno: '2.9.6' }
  consumer = await install(packed, {
    ...ours,
    pg: '8.23.1',
    '@neondatabase/serverless': '1.2.0',
    next: '16.4.6',
    react: '19.3.1',
    'react-dom': '19.3.1',
  })
  // Of Next.js itself nothing is looked at here.
  await writeFile(join(consumer.folder, 'next-server.mjs'), 'export const after = () => {}')
  await writeFile(join(consumer.folder, 'app.mjs'), asModule(neon))
  await writeFile(join(consumer.folder, 'app.cjs'), asCommonJs(neon))
}, 300_000)
afterAll(async () => {
  await neon?.close()
  await packed?.[Symbol.asyncDispose]()
  await consumer?.[Symbol.asyncDispose]()
})

async function bundle(contents: string, options: BuildOptions): Promise<string> {
  const { outputFiles, warnings } = await build({
    stdin: { contents, resolveDir: consumer.folder },
    bundle: true,
    write: false,
    logLevel: 'silent',
    ...options,
  })
  expect(warnings).toEqual([])
  return outputFiles?.[0]?.text ?? ''
}

const inNode = (file: string, source: string): Promise<Report[]> => runIn([process.execPath], file, source)

async function runIn([program = '', ...args]: readonly string[], file: string, source: string): Promise<Report[]> {
  await writeFile(join(consumer.folder, file), source)
  const { stdout } = await run(program, [...args, file], {
    cwd: consumer.folder,
    env: { PATH: process.env['PATH'], HOME: consumer.folder },
  })
  return JSON.parse(stdout) as Report[]
}

/** Its program, in the package of this platform: what npm would link to it is made by a script, and none runs here. */
async function programOf(name: 'bun' | 'deno'): Promise<string[]> {
  const cpu = process.arch === 'arm64' ? { bun: 'aarch64', deno: 'arm64' } : { bun: 'x64', deno: 'x64' }
  const { resolve } = createRequire(await realpath(join(consumer.folder, 'node_modules', name, 'package.json')))
  if (name === 'bun') return [resolve(`@oven/bun-${process.platform}-${cpu.bun}/bin/bun`)]
  const libc = process.platform === 'linux' ? '-glibc' : ''
  return [resolve(`@deno/${process.platform}-${cpu.deno}${libc}/deno`), 'run', '--allow-all', '--node-modules-dir=manual']
}

const thrice = (report: Report): Report[] => [report, report, report]

const PRINT = 'console.log(JSON.stringify(await answers()))'

const IMPORTED = `${LIKE_NEXT}\nconst { answers } = await import('./app.mjs')\n${PRINT}`
const REQUIRED = `globalThis.AsyncLocalStorage = require('node:async_hooks').AsyncLocalStorage
  require('./app.cjs').answers().then((all) => console.log(JSON.stringify(all)))`

describe('in Node', () => {
  test('imported', async () => {
    expect(await inNode('imported-app.mjs', IMPORTED)).toEqual(thrice(IN_NODE))
  })

  test('required', async () => {
    expect(await inNode('required-app.cjs', REQUIRED)).toEqual(thrice(IN_NODE))
  })

  test.for(BUNDLES)('bundled as ESM with the conditions $conditions, minified: $minify', async ({ conditions, minify }) => {
    const options: BuildOptions = { format: 'esm', platform: 'node', external: ['next', 'cloudflare:*'], conditions, minify }
    const source = await bundle(`import { answers } from './app.mjs'\n${PRINT}`, { ...options, banner: { js: LIKE_NEXT + WITH_REQUIRE } })
    expect(await inNode(`node-${conditions.join('-')}-${minify}.mjs`, source)).toEqual(thrice(IN_NODE))
  })

  test.for(BUNDLES)('bundled as CommonJS with the conditions $conditions, minified: $minify', async ({ conditions, minify }) => {
    const options: BuildOptions = { format: 'cjs', platform: 'node', external: ['next', 'cloudflare:*'], conditions, minify }
    const banner = { js: "globalThis.AsyncLocalStorage = require('node:async_hooks').AsyncLocalStorage;" }
    const source = await bundle("import { answers } from './app.mjs'\nanswers().then((all) => console.log(JSON.stringify(all)))", {
      ...options,
      banner,
    })
    expect(await inNode(`node-${conditions.join('-')}-${minify}.cjs`, source)).toEqual(thrice(IN_NODE))
  })
})

describe.for(['bun', 'deno'] as const)('in %s', (name) => {
  test('imported', async () => {
    expect(await runIn(await programOf(name), `${name}-imported.mjs`, IMPORTED)).toEqual(thrice(IN_NODE))
  })

  test('required', async () => {
    expect(await runIn(await programOf(name), `${name}-required.cjs`, REQUIRED)).toEqual(thrice(IN_NODE))
  })
})

describe('in Node, bundled by Vite for a server', () => {
  test.for(BUNDLES)('with the conditions $conditions, minified: $minify', async ({ conditions, minify }) => {
    const entry = `vite-${conditions.join('-')}-${minify}`
    await writeFile(join(consumer.folder, `${entry}.mjs`), `import { answers } from './app.mjs'\n${PRINT}`)
    const warned: string[] = []
    const onwarn = ({ message }: { readonly message: string }) => void warned.push(message)
    const noExternal = ['@thaw/pg', '@thaw/neon', '@thaw/next', '@thaw/core']
    const built = await buildByVite({
      root: consumer.folder,
      configFile: false,
      logLevel: 'silent',
      build: { ssr: `${entry}.mjs`, minify, write: false, target: 'node20', rollupOptions: { onwarn } },
      // As a framework does it for a Worker: its own conditions, and those of Vite.
      ssr: { noExternal, resolve: { conditions: [...conditions, 'node', 'module', 'import', 'default'] } },
    })
    const [chunk] = (built as { readonly output: readonly { readonly code: string }[] }).output
    expect(warned).toEqual([])
    expect(await inNode(`${entry}.built.mjs`, `${LIKE_NEXT}\n${chunk?.code}`)).toEqual(thrice(IN_NODE))
  })
})

describe('in workerd, as OpenNext does it: bundled for Node by Next.js, without pg, and then by Wrangler', () => {
  test.for(BUNDLES)('with the conditions $conditions, minified: $minify', async ({ conditions, minify }) => {
    const forNode = await bundle("import { handle } from './app.mjs'\nexport default { fetch: () => handle({ method: 'GET' }, {}) }", {
      format: 'esm',
      platform: 'node',
      external: ['pg', 'next', 'cloudflare:*'],
      conditions,
      minify,
    })
    const script = await bundle(forNode, {
      format: 'esm',
      platform: 'node',
      conditions: ['workerd', 'worker', 'browser'],
      external: ['cloudflare:*', 'node:*', 'next'],
      alias: { 'next/server.js': join(consumer.folder, 'next-server.mjs') },
      banner: { js: LIKE_NEXT + WITH_REQUIRE },
    })
    const options = {
      modules: true as const,
      script,
      compatibilityDate: '2026-11-01',
      compatibilityFlags: ['nodejs_compat'],
      cf: false as const,
    }
    const bindings = { DATABASE_URL: neon.postgres.url, NEON_URL: neon.url }
    const worker = new Miniflare(convertV4MiniflareOptions({ ...options, bindings }))
    try {
      const reports: unknown[] = []
      for (let n = 0; n < 3; n++) reports.push(await (await worker.dispatchFetch('https://worker.example')).json())
      expect(reports).toEqual(thrice(ANSWERED))
    } finally {
      await worker.dispose()
    }
  })
})

test('in workerd without nodejs_compat, where no process has the bindings, @thaw/neon has them', async () => {
  const source = `
    import { neonConfig, Pool } from '@thaw/neon'
    Object.assign(neonConfig, ${JSON.stringify(neon.driver)})
    const pool = new Pool((env) => env.NEON_URL)
    const handle = async () => Response.json([typeof process, (await pool.query('SELECT 1 AS one')).rows])
    export default { fetch: handle }`
  const script = await bundle(source, { format: 'esm', conditions: [] })
  const options = { modules: true as const, script, compatibilityDate: '2024-01-01', cf: false as const, bindings: { NEON_URL: neon.url } }
  const worker = new Miniflare(convertV4MiniflareOptions(options))
  try {
    for (const _ of [1, 2, 3]) {
      expect(await (await worker.dispatchFetch('https://worker.example')).json()).toEqual(['undefined', [{ one: 1 }]])
    }
  } finally {
    await worker.dispose()
  }
})

describe('in the Edge runtime', () => {
  test.for([false, true])('without TCP the first use of @thaw/pg says so, minified: %s', async (minify) => {
    const initialCode = await bundle(
      `import { handle } from './app.mjs'\naddEventListener('fetch', (event) => event.respondWith(handle({ method: 'GET' }, {})))`,
      { format: 'iife', conditions: ['edge-light'], minify, alias: { 'next/server.js': join(consumer.folder, 'next-server.mjs') } },
    )
    // As Next.js' own sandbox does.
    const runtime = new EdgeRuntime({ initialCode, extend: (context) => Object.assign(context, { AsyncLocalStorage }) })
    const reports: unknown[] = []
    for (let n = 0; n < 3; n++) reports.push(await (await runtime.dispatchFetch('https://edge.example')).json())
    expect(reports).toEqual(thrice(ON_EDGE))
  })
})
