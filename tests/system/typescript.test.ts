/**
 * The types of the packed packages, under every TypeScript that Prisma, Next.js and others still take, and as each of the three ways of finding modules finds
 * them: for ES modules and for CommonJS.
 *
 * What breaks without it: a type that only a newer compiler knows, or a `.d.mts` that is found where a `.d.cts` should be, fails the build of an app.
 */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Consumer, install, type Packed, packAll, run } from '../package/packed.ts'

const COMPILERS = ['5.4.5', '5.9.3', '6.0.3', '7.0.2'] as const
/** Each compiles all of the types of node-postgres, Neon and Node, too. */
const LIMIT_MILLIS = 300_000
const RESOLUTIONS = [
  { moduleResolution: 'bundler', module: 'esnext', files: ['types.mts', 'all.mts'] },
  { moduleResolution: 'node16', module: 'node16', files: ['types.mts', 'types.cts', 'all.mts', 'all.cts'] },
  { moduleResolution: 'nodenext', module: 'nodenext', files: ['types.mts', 'types.cts', 'all.mts', 'all.cts'] },
] as const

/** Without @thaw/next: the types of Next.js itself are what would be compiled, for minutes. */
const OURS = ['cloudflare', 'core', 'lambda', 'neon', 'otel', 'testkit', 'vercel'] as const

/** One thing of each package, with a type of its own. */
const ALL = `
import { type Clock, currentInvocation } from '@thaw/core'
import { withThaw as onCloudflare } from '@thaw/cloudflare'
import { registerShutdown, withThaw as onLambda } from '@thaw/lambda'
import { neon, Client as NeonClient, Pool as NeonPool, type PoolClient as NeonPoolClient } from '@thaw/neon'
import { observe } from '@thaw/otel'
import { Pool, type PoolConfig } from '@thaw/pg'
import { db0Connector } from '@thaw/pg/db0'
import { createFakeClock, startPostgres } from '@thaw/testkit'
import { attachPool, withThaw as onVercel } from '@thaw/vercel'

const clock: Clock = createFakeClock()
const config: PoolConfig = { connectionString: 'postgres://localhost/app', clock }
export const pool: Pool = attachPool(new Pool(config))
export const webSockets: NeonPool = new NeonPool({ connectionString: 'postgres://localhost/app' })
class CountedNeonPool extends NeonPool {
  override end(): Promise<void> {
    return super.end()
  }
  override query(...given: any[]): any {
    return Reflect.apply(super.query, this, given)
  }
}
class ToldNeonClient extends NeonClient {
  override query(...given: any[]): any {
    return Reflect.apply(super.query, this, given)
  }
}
export const counted: NeonPool = new CountedNeonPool({ connectionString: 'postgres://localhost/app' })
export const told: NeonClient = new ToldNeonClient('postgres://localhost/app')
export const bounded = (client: NeonPoolClient) => client.query({ text: 'SELECT 1', query_timeout: 1000 })
export const arrays = (client: NeonPoolClient) => [
  client.query<[number]>({ text: 'SELECT 1', rowMode: 'array', query_timeout: 1000 }).then(({ rows }) => rows[0]?.[0].toFixed()),
  webSockets.query<[number]>({ text: 'SELECT 1', rowMode: 'array', idempotent: true }).then(({ rows }) => rows[0]?.[0].toFixed()),
  webSockets.query<[number]>({ text: 'SELECT 1', rowMode: 'array', once: true }).then(({ rows }) => rows[0]?.[0].toFixed()),
]
export const behind = [
  webSockets.query<{ n: number }>({ text: 'SELECT $1 AS n', idempotencyKey: 'k' }, [1]).then(({ rows }) => rows[0]?.n.toFixed()),
  webSockets.query<{ n: number }>({ text: 'SELECT $1 AS n', idempotent: true }, [1]).then(({ rows }) => rows[0]?.n.toFixed()),
  webSockets.query<[number]>({ text: 'SELECT $1', rowMode: 'array', once: true }, [1]).then(({ rows }) => rows[0]?.[0].toFixed()),
]
export const batched = webSockets.batch<{ n: number }>(['SELECT 1 AS n']).then(([first]) => first?.rows[0]?.n.toFixed())
export const http = neon('postgres://localhost/app')
export const connector = db0Connector(pool)
export const id: string | undefined = currentInvocation()?.id
export const worker = onCloudflare({ fetch: async (request: Request) => new Response(request.url) })
export const handler: (event: { id: number }) => Promise<number> = onLambda(async (event: { id: number }) => event.id)
export const GET: (request: Request) => Promise<Response> = onVercel(async (request: Request) => new Response(request.url))
export const stop: () => void = observe(pool)
void registerShutdown(pool)
export const server: ReturnType<typeof startPostgres> = startPostgres({ tls: true })
// @ts-expect-error: an option that does not exist
new Pool({ trustMilis: 0 })
`

let packed: Packed
let consumer: Consumer

beforeAll(async () => {
  packed = await packAll()
  const compilers = Object.fromEntries(COMPILERS.map((version) => [`typescript-${version}`, `npm:typescript@${version}`]))
  const ours = Object.fromEntries(OURS.map((name) => [`@thaw/${name}`, '0.1.0']))
  const peers = { pg: '8.23.1', '@types/pg': '8.23.1', '@types/node': '24.10.1', '@neondatabase/serverless': '1.2.0' }
  consumer = await install(packed, { ...compilers, ...ours, ...peers, '@opentelemetry/api': '1.10.0' })
  for (const extension of ['mts', 'cts']) await writeFile(join(consumer.folder, `all.${extension}`), ALL)
}, LIMIT_MILLIS)
afterAll(async () => {
  await packed?.[Symbol.asyncDispose]()
  await consumer?.[Symbol.asyncDispose]()
})

describe.for(COMPILERS)('TypeScript %s', (version) => {
  test.for(RESOLUTIONS)('$moduleResolution', { timeout: LIMIT_MILLIS }, async ({ files, ...options }) => {
    const project = join(consumer.folder, `tsconfig-${version}-${options.moduleResolution}.json`)
    const compilerOptions = { ...options, target: 'es2022', skipLibCheck: false }
    await writeFile(project, JSON.stringify({ extends: './tsconfig.json', compilerOptions, files }))
    const tsc = join(consumer.folder, `node_modules/typescript-${version}/bin/tsc`)
    const said = await run(process.execPath, [tsc, '--project', project, '--pretty', 'false'], { cwd: consumer.folder }).then(
      () => '',
      (error: { stdout: string }) => error.stdout,
    )
    // The types of others are checked by others.
    expect(said.split('\n').filter((line) => /^(all|types)\.[cm]ts|@thaw/.test(line))).toEqual([])
    expect(said).not.toMatch(/error TS(5|6)\d{3}/)
  })
})
