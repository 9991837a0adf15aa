/**
 * Tokens instead of passwords, with the signers of AWS, which need no network: the samples of docs/reference/servers.md, as they stand there, against a gate that
 * looks at the token.
 *
 * A token expires after 15 minutes, a connection does not: so each new connection has to ask for one.
 */

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type PostgresServer, startPostgres, terminateSessions } from '@thaw/testkit'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { until } from '../faults/until.ts'
import { ROOT, read } from '../house/repository.ts'
import { snippetsOf } from '../house/snippets.ts'
import { startIamGate } from './iam-gate.ts'

const PAGE = 'docs/reference/servers.md'
/** Inside node_modules, so that it finds what these tests depend on. */
const PLACE = join(ROOT, 'tests/node_modules/.iam')
const APP = 'iam-tokens'

const SAMPLES = [
  { signer: '@aws-sdk/rds-signer', action: 'connect', names: ['DBUser=app'] },
  { signer: '@aws-sdk/dsql-signer', action: 'DbConnect', names: [] },
] as const

let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres({ tls: true, authentication: 'trust' })
  await server.query('CREATE ROLE app LOGIN')
  await mkdir(PLACE, { recursive: true })
  await writeFile(join(PLACE, 'ca.pem'), String(server.ca))
})
afterAll(() => server.close())
afterEach(() => vi.unstubAllEnvs())

/** The pool that the page's sample makes. */
async function poolOf(signer: string, port: number): Promise<pg.Pool> {
  const [snippet, ...others] = snippetsOf(PAGE, await read(PAGE)).filter(({ code }) => code.includes(`from '${signer}'`))
  expect(others).toEqual([])
  const file = join(PLACE, `${signer.split('/')[1]}-${port}.ts`)
  await writeFile(file, snippet?.code ?? '')
  const env = {
    PGHOST: 'localhost',
    PGPORT: String(port),
    PGUSER: 'app',
    PGDATABASE: 'postgres',
    PGSSLROOTCERT: join(PLACE, 'ca.pem'),
    PGAPPNAME: APP,
  }
  const aws = { AWS_REGION: 'eu-central-1', AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'only for a test' }
  for (const [name, value] of Object.entries({ ...env, ...aws })) vi.stubEnv(name, value)
  return ((await import(pathToFileURL(file).href)) as { pool: pg.Pool }).pool
}

describe.for(SAMPLES)('$signer', ({ signer, action, names }) => {
  test('is asked for each connection, and its token reaches the server', async () => {
    await using gate = await startIamGate(server, () => true)
    const pool = await poolOf(signer, gate.port)
    for (const dials of [1, 2, 3]) {
      expect((await pool.query('SELECT current_user AS name')).rows).toEqual([{ name: 'app' }])
      expect(gate.tokens).toHaveLength(dials)
      await terminateSessions(server, APP)
      await until('its connection is closed', () => pool.totalCount === 0)
    }
    await pool.end()
    for (const token of gate.tokens) {
      expect(token).toMatch(/^localhost(:\d+)?\/\?/)
      const { searchParams } = new URL(`https://${token}`)
      expect(searchParams.get('Action')).toBe(action)
      expect(searchParams.get('X-Amz-Signature')).toMatch(/^[0-9a-f]{64}$/)
      for (const name of names) expect(token).toContain(name)
    }
  })

  test('is asked once more for a token that had expired on its way', async () => {
    let refusals = 1
    await using gate = await startIamGate(server, () => refusals-- <= 0)
    const pool = await poolOf(signer, gate.port)
    await pool.query('SELECT 1')
    expect(gate.tokens).toHaveLength(2)
    await pool.end()
  })
})
