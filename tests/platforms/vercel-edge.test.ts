/** The Edge runtime: no TCP, no `node:` modules, no `process`. In the real one, from npm, and bundled as for it. */

import { AsyncLocalStorage } from 'node:async_hooks'
import { fileURLToPath } from 'node:url'
import * as node from '@thaw/pg'
import { EdgeRuntime } from 'edge-runtime'
import { build } from 'esbuild'
import { expect, test } from 'vitest'

const HERE = fileURLToPath(new URL('.', import.meta.url))

/** Bundles a module, and runs it in a runtime of its own. */
async function load(source: string): Promise<EdgeRuntime> {
  const { outputFiles, warnings } = await build({
    stdin: { contents: source, resolveDir: HERE, loader: 'ts' },
    bundle: true,
    write: false,
    format: 'iife',
    conditions: ['edge-light'],
    logLevel: 'silent',
  })
  expect(warnings).toEqual([])
  // Vercel adds this global to the runtime, as Next.js' own sandbox does.
  return new EdgeRuntime({ initialCode: outputFiles[0]?.text ?? '', extend: (context) => Object.assign(context, { AsyncLocalStorage }) })
}

test('withThaw wraps an Edge function, and each request has its invocation', async () => {
  const runtime = await load(`
    import { invocation, withThaw } from '@thaw/vercel'
    const context = { deadline: new Date(Date.now() + 25_000).toISOString(), waitUntil: (promise) => {} }
    globalThis[Symbol.for('@vercel/request-context')] = { get: () => context }
    const handler = withThaw(async (request) => {
      const before = invocation()
      await new Promise((resolve) => setTimeout(resolve, 5))
      const after = invocation()
      return Response.json({ isKept: after !== undefined && after === before, isBounded: after.deadlineAt < Date.now() + 25_000, id: after.id })
    })
    addEventListener('fetch', (event) => event.respondWith(handler(event.request)))
  `)
  const answers = await Promise.all([1, 2, 3].map(async () => (await runtime.dispatchFetch('https://edge.example')).json()))
  expect(answers).toEqual([1, 2, 3].map((id) => ({ isKept: true, isBounded: true, id: `thaw-${id}` })))
})

test('@thaw/pg is loaded, and says at its first use what to use there instead', async () => {
  const runtime = await load(`
    import { Client, Pool } from '@thaw/pg'
    const pool = new Pool({ connectionString: 'postgres://db.example/shop' })
    const said = ({ kind, message }) => ({ kind, message })
    addEventListener('fetch', (event) => event.respondWith((async () => Response.json([
      await pool.query('SELECT 1').catch(said),
      await pool.connect().catch(said),
      await new Promise((resolve) => pool.query('SELECT 1', (error) => resolve(said(error)))),
      await new Client().connect().catch(said),
      await pool.end() ?? 'ended',
    ]))()))
  `)
  const refused = { kind: 'option', message: expect.stringMatching(/no TCP|does not have.*"@thaw\/neon"/) }
  const answer: unknown = await (await runtime.dispatchFetch('https://edge.example')).json()
  expect(answer).toEqual([refused, refused, refused, refused, 'ended'])
})

test('@thaw/pg has all of its names there, and loading them throws nothing', async () => {
  const names = Object.keys(node).filter((name) => name !== 'default' && name !== 'module.exports')
  const runtime = await load(
    `import pg, { ${names.join(', ')} } from '@thaw/pg'\nglobalThis.missing = [pg, ${names.join(', ')}].indexOf(undefined)`,
  )
  expect(runtime.evaluate('missing')).toBe(-1)
})
