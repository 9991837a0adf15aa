/** What is around a page's snippets to make an app of them, for each framework: its configuration, a route on plain `pg`, how it is built and served. */

export interface Framework {
  /** The document whose named snippets are files of the app. */
  readonly page: string
  readonly dependencies: Readonly<Record<string, string>>
  readonly files: Readonly<Record<string, string>>
  /** Commands, in this order. Default: none. */
  readonly build?: readonly (readonly string[])[]
  readonly serve: readonly string[]
  /** The route of the page. */
  readonly route: string
  /** The same on what the user had before: plain `pg`, or db0's own connector. */
  readonly before: string
}

/** What every app has. */
const OURS = { '@thaw/pg': 'packed', pg: '8.23.1' }
const SELECT = 'select * from orders order by id'

/** A module's beginning: a pool of plain `pg`, with the listener that its documentation asks for. */
const PLAIN = `import pg from 'pg'
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
pool.on('error', () => {})
`
const JSON_OF_PLAIN = `return Response.json((await pool.query('${SELECT}')).rows)`

/** A module's beginning: db0's own connector. */
const DB0 = `import { createDatabase } from 'db0'
import postgresql from 'db0/connectors/postgresql'
`

export const ON_NODE: Readonly<Record<string, Framework>> = {
  'SvelteKit 3': {
    page: 'docs/start/sveltekit.md',
    dependencies: {
      ...OURS,
      '@sveltejs/adapter-node': '6.0.1',
      '@sveltejs/kit': '3.2.0',
      '@sveltejs/vite-plugin-svelte': '7.3.1',
      svelte: '5.57.3',
      vite: '8.3.8',
    },
    files: {
      'vite.config.js': `import adapter from '@sveltejs/adapter-node'
import { sveltekit } from '@sveltejs/kit/vite'
export default { plugins: [sveltekit({ adapter: adapter() })] }`,
      'src/app.html': '<!doctype html><html><head>%sveltekit.head%</head><body>%sveltekit.body%</body></html>',
      'src/routes/plain/+server.js': `${PLAIN}export async function GET() { ${JSON_OF_PLAIN} }`,
    },
    build: [['vite', 'build']],
    serve: ['node', 'build'],
    route: '/orders',
    before: '/plain',
  },
  'React Router 8': {
    page: 'docs/start/react-router.md',
    dependencies: {
      ...OURS,
      '@react-router/dev': '8.4.0',
      '@react-router/node': '8.4.0',
      '@react-router/serve': '8.4.0',
      isbot: '5.2.3',
      react: '19.3.1',
      'react-dom': '19.3.1',
      'react-router': '8.4.0',
      vite: '8.3.8',
    },
    files: {
      'vite.config.js': `import { reactRouter } from '@react-router/dev/vite'
export default { plugins: [reactRouter()] }`,
      'app/root.jsx': `import { Outlet, Scripts } from 'react-router'
export default function App() { return <html lang="en"><head /><body><Outlet /><Scripts /></body></html> }`,
      'app/routes.js': `import { route } from '@react-router/dev/routes'
export default [route('orders', './routes/orders.tsx'), route('plain', './routes/plain.js')]`,
      'app/routes/plain.js': `${PLAIN}export async function loader() { ${JSON_OF_PLAIN} }`,
    },
    build: [['react-router', 'build']],
    serve: ['react-router-serve', 'build/server/index.js'],
    route: '/orders',
    before: '/plain',
  },
  'Astro 7': {
    page: 'docs/start/astro.md',
    dependencies: { ...OURS, '@astrojs/node': '11.1.6', astro: '7.3.5' },
    files: {
      'astro.config.mjs': `import node from '@astrojs/node'
export default { adapter: node({ mode: 'standalone' }) }`,
      'src/pages/plain.js': `${PLAIN}export const prerender = false
export async function GET() { ${JSON_OF_PLAIN} }`,
    },
    build: [['astro', 'build']],
    serve: ['node', 'dist/server/entry.mjs'],
    route: '/orders.json',
    before: '/plain',
  },
  'Hono 4': {
    page: 'docs/start/hono.md',
    dependencies: { ...OURS, '@hono/node-server': '2.1.9', hono: '4.13.19' },
    files: {
      'server.js': `${PLAIN}import { serve } from '@hono/node-server'
import { app } from './app.ts'
app.get('/plain', async () => { ${JSON_OF_PLAIN} })
serve({ fetch: app.fetch, hostname: process.env.HOST, port: Number(process.env.PORT) })`,
    },
    serve: ['node', 'server.js'],
    route: '/orders',
    before: '/plain',
  },
  'Nitro 2': {
    page: 'docs/start/nitro.md',
    dependencies: { ...OURS, db0: '0.3.4', nitropack: '2.13.6' },
    files: {
      'nitro.config.ts': "export default defineNitroConfig({ srcDir: 'server', compatibilityDate: '2026-11-01' })",
      'server/routes/own.ts': `${DB0}const own = createDatabase(postgresql({ url: process.env.DATABASE_URL }))
export default defineEventHandler(() => own.sql\`${SELECT}\`)`,
    },
    build: [['nitro', 'build']],
    serve: ['node', '.output/server/index.mjs'],
    route: '/orders',
    before: '/own',
  },
  "Nitro 2's useDatabase()": {
    page: 'docs/start/nitro.md',
    dependencies: { ...OURS, db0: '0.3.4', nitropack: '2.13.6' },
    files: {
      'nitro.config.ts': `import { fileURLToPath } from 'node:url'
export default defineNitroConfig({
  srcDir: 'server', compatibilityDate: '2026-11-01',
  experimental: { database: true },
  database: { default: { connector: 'postgresql' } },
  alias: { 'db0/connectors/postgresql': fileURLToPath(new URL('server/connector.ts', import.meta.url)) },
})`,
      'server/connector.ts': `import { db0Connector } from '@thaw/pg/db0'
import { pool } from './utils/db'
export default () => db0Connector(pool)`,
      'server/routes/orders.ts': `export default defineEventHandler(() => useDatabase().sql\`${SELECT}\`)`,
      'server/routes/plain.ts': `${PLAIN}export default defineEventHandler(async () => (await pool.query('${SELECT}')).rows)`,
    },
    build: [['nitro', 'build']],
    serve: ['node', '.output/server/index.mjs'],
    route: '/orders',
    before: '/plain',
  },
  'Nuxt 4': {
    page: 'docs/start/nitro.md',
    dependencies: { ...OURS, db0: '0.3.4', nuxt: '4.5.2', vue: '3.5.45' },
    files: {
      'nuxt.config.ts': "export default defineNuxtConfig({ compatibilityDate: '2026-11-01' })",
      'app/app.vue': '<template><p>Orders</p></template>',
      'server/routes/own.ts': `${DB0}const own = createDatabase(postgresql({ url: process.env.DATABASE_URL }))
export default defineEventHandler(() => own.sql\`${SELECT}\`)`,
    },
    build: [['nuxt', 'build']],
    serve: ['node', '.output/server/index.mjs'],
    route: '/orders',
    before: '/own',
  },
  'Nitro 3': {
    page: 'docs/start/nitro.md',
    dependencies: { ...OURS, db0: '0.4.2', nitro: '3.0.260903-beta' },
    files: {
      'nitro.config.ts': `import { defineConfig } from 'nitro'
export default defineConfig({ serverDir: './server', compatibilityDate: '2026-11-01' })`,
      // Nitro 3 makes nothing global.
      'server/routes/orders.ts': `import { defineHandler } from 'nitro'
import { db } from '../utils/db.ts'
export default defineHandler(() => db.sql\`${SELECT}\`)`,
      'server/routes/own.ts': `${DB0}import { defineHandler } from 'nitro'
const own = createDatabase(postgresql({ url: process.env.DATABASE_URL }))
export default defineHandler(() => own.sql\`${SELECT}\`)`,
    },
    build: [['nitro', 'build']],
    serve: ['node', '.output/server/index.mjs'],
    route: '/orders',
    before: '/own',
  },
}

/** What `wrangler dev` is told. `DATABASE_URL` is replaced by the tests. */
const WRANGLER = [
  ...['--ip', '127.0.0.1', '--port', 'PORT', '--inspector-port', '0', '--show-interactive-dev-session=false'],
  ...['--var', 'DATABASE_URL:$DATABASE_URL'],
]
const WORKER = { name: 'newcomer', compatibility_date: '2026-11-01', compatibility_flags: ['nodejs_compat'] }
/** As the page's table has it on Workers. */
const DB_OF_BINDINGS = `import { Pool } from '@thaw/pg'
import { db0Connector } from '@thaw/pg/db0'
import { createDatabase } from 'db0'
export const pool = new Pool((env: { DATABASE_URL: string }) => env.DATABASE_URL)
export const db = createDatabase(db0Connector(pool))`

/** The same app, built for Workers. */
function onWorkers(name: string, { dependencies, files, ...others }: Partial<Framework>): Framework {
  const onNode = ON_NODE[name]
  if (!onNode) throw new Error(`There is no ${name} to be changed.`)
  return {
    ...onNode,
    ...others,
    dependencies: { ...onNode.dependencies, wrangler: '4.164.0', ...dependencies },
    files: { ...onNode.files, ...files },
  }
}

export const ON_WORKERS: Readonly<Record<string, Framework>> = {
  // The adapter for SvelteKit 3 is not out yet.
  'SvelteKit 2': onWorkers('SvelteKit 3', {
    dependencies: { '@sveltejs/adapter-cloudflare': '7.2.9', '@sveltejs/kit': '2.70.4' },
    files: {
      'vite.config.js': `import { sveltekit } from '@sveltejs/kit/vite'
export default { plugins: [sveltekit()] }`,
      'svelte.config.js': `import adapter from '@sveltejs/adapter-cloudflare'
export default { kit: { adapter: adapter() } }`,
      'wrangler.jsonc': JSON.stringify({
        ...WORKER,
        main: '.svelte-kit/cloudflare/_worker.js',
        assets: { binding: 'ASSETS', directory: '.svelte-kit/cloudflare' },
      }),
    },
    serve: ['wrangler', 'dev', ...WRANGLER],
  }),
  'React Router 8': onWorkers('React Router 8', {
    dependencies: { '@cloudflare/vite-plugin': '1.64.0' },
    files: {
      'vite.config.js': `import { cloudflare } from '@cloudflare/vite-plugin'
import { reactRouter } from '@react-router/dev/vite'
export default { plugins: [cloudflare({ viteEnvironment: { name: 'ssr' } }), reactRouter()] }`,
      'workers/app.js': `import { createRequestHandler } from 'react-router'
const handle = createRequestHandler(() => import('virtual:react-router/server-build'), import.meta.env.MODE)
export default { fetch: (request) => handle(request) }`,
      'app/entry.server.jsx': `import { renderToReadableStream } from 'react-dom/server'
import { ServerRouter } from 'react-router'
export default async function handleRequest(request, status, headers, context) {
  const body = await renderToReadableStream(<ServerRouter context={context} url={request.url} />)
  headers.set('Content-Type', 'text/html')
  return new Response(body, { headers, status })
}`,
      'wrangler.jsonc': JSON.stringify({ ...WORKER, main: './workers/app.js' }),
    },
    serve: ['wrangler', 'dev', '-c', 'build/server/wrangler.json', ...WRANGLER],
  }),
  'Astro 7': onWorkers('Astro 7', {
    dependencies: { '@astrojs/cloudflare': '14.3.3' },
    files: {
      'astro.config.mjs': `import cloudflare from '@astrojs/cloudflare'
export default { adapter: cloudflare() }`,
      'wrangler.jsonc': JSON.stringify(WORKER),
    },
    serve: ['wrangler', 'dev', '-c', 'dist/server/wrangler.json', ...WRANGLER],
  }),
  'Nitro 2': onWorkers('Nitro 2', {
    files: {
      'nitro.config.ts': `export default defineNitroConfig({
  srcDir: 'server', compatibilityDate: '2026-11-01', preset: 'cloudflare_module', cloudflare: { deployConfig: true, nodeCompat: true },
  alias: { 'pg-native': 'unenv/mock/empty' },
})`,
      'server/utils/db.ts': DB_OF_BINDINGS,
    },
    serve: ['wrangler', 'dev', '-c', '.output/server/wrangler.json', ...WRANGLER],
  }),
  'Nitro 3': onWorkers('Nitro 3', {
    files: {
      'nitro.config.ts': `import { defineConfig } from 'nitro'
export default defineConfig({
  serverDir: './server', compatibilityDate: '2026-11-01', preset: 'cloudflare_module', cloudflare: { deployConfig: true, nodeCompat: true },
})`,
      'server/utils/db.ts': DB_OF_BINDINGS,
    },
    serve: ['wrangler', 'dev', '-c', '.output/server/wrangler.json', ...WRANGLER],
  }),
}
