/**
 * Google's connector for Cloud SQL, from npm, as docs/reference/servers.md plugs it in: it makes the sockets itself. Connections die between two requests. On plain
 * `pg` requests fail; on Thaw none does, and each new connection has the connector's certificate.
 */

import { type FaultProxy, type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { read } from '../house/repository.ts'
import { snippetsOf } from '../house/snippets.ts'
import { type Packed, packAll } from '../package/packed.ts'
import { type CloudSql, startCloudSql } from './cloud-sql.ts'
import { createProject, type Project } from './project.ts'
import { type Strike, strike } from './strikes.ts'

const PAGE = 'docs/reference/servers.md'
const APP = 'cloud-sql'
const PATIENCE_MILLIS = 600_000
const STRIKES: readonly Strike[] = ['terminate', 'fin', 'rst', 'rst-on-next-byte', 'drop']

let server: PostgresServer
let proxy: FaultProxy
let packed: Packed
let project: Project
let cloudSql: CloudSql

/** The page's module, which is to ask for the instance here. */
async function moduleOf(): Promise<string> {
  const [snippet, ...others] = snippetsOf(PAGE, await read(PAGE)).filter(({ code }) => code.includes('cloud-sql-connector'))
  expect(others).toEqual([])
  const code = snippet?.code.replace('new Connector()', `new Connector({ sqlAdminAPIEndpoint: '${cloudSql.adminUrl}' })`) ?? ''
  expect(code).toContain(cloudSql.adminUrl)
  return code
}

const APP_SOURCE = `import { createServer } from 'node:http'
import pg from 'pg'
import { connector, pool } from './database.ts'
const { stream } = await connector.getOptions({ instanceConnectionName: process.env.INSTANCE_CONNECTION_NAME, authType: 'IAM' })
const plain = new pg.Pool({ stream })
plain.on('error', () => {})
createServer((request, response) => {
  const chosen = request.url === '/plain' ? plain : pool
  chosen.query('select 1 as one').then(
    (result) => response.end(JSON.stringify(result.rows)),
    (error) => response.writeHead(500).end(error.message),
  )
}).listen(Number(process.env.PORT), '127.0.0.1')`

beforeAll(async () => {
  ;[server, packed] = await Promise.all([startPostgres({ tls: true, authentication: 'trust' }), packAll()])
  proxy = await startFaultProxy(server)
  cloudSql = await startCloudSql(server, proxy)
  project = await createProject({
    packed,
    dependencies: { '@thaw/pg': 'packed', pg: '8.23.1', '@google-cloud/cloud-sql-connector': '1.13.0' },
    files: { 'database.ts': await moduleOf(), 'app.ts': APP_SOURCE },
  })
}, PATIENCE_MILLIS)
afterAll(async () => {
  await project?.[Symbol.asyncDispose]()
  await cloudSql?.[Symbol.asyncDispose]()
  await proxy?.close()
  await server?.close()
  await packed?.[Symbol.asyncDispose]()
})

test(
  'on Thaw no request fails, however the connections died; on pg some do',
  async () => {
    const login = { PGUSER: server.user, PGDATABASE: server.database, PGAPPNAME: APP, INSTANCE_CONNECTION_NAME: 'project:region:instance' }
    await using app = await project.serve(['node', 'app.ts'], { ...cloudSql.env, ...login })
    for (const how of STRIKES) {
      const { struck, failed } = await strike(app.url, how, { server, proxy, app: APP })
      expect({ how, failed }, app.output).toEqual({ how, failed: [] })
      expect(struck, how).toBeGreaterThan(0)
    }
    const plain = await strike(`${app.url}/plain`, 'rst-on-next-byte', { server, proxy, app: APP })
    expect(plain.failed).not.toEqual([])
    expect(cloudSql.counts.signed).toBeGreaterThan(0)
    expect(cloudSql.counts.refused).toBe(0)
  },
  PATIENCE_MILLIS,
)
