/**
 * What Cloud SQL's connector talks to, on this machine: the metadata server that has its token, the Admin API that says where the instance is and signs a
 * certificate for an hour, and the instance's own proxy, which takes those certificates only, by TLS, and passes on to a PostgreSQL.
 *
 * The connector dials port 3307, whatever the Admin API says: on Linux, of a random address of the loopback net.
 */

import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer as createHttpServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import type { FaultProxy, PostgresServer } from '@thaw/testkit'

const PROXY_PORT = 3307
const HOUR_MILLIS = 3_600_000

export interface CloudSql extends AsyncDisposable {
  /** For a process that is to believe in it. */
  readonly env: Readonly<Record<string, string>>
  /** For `sqlAdminAPIEndpoint`. */
  readonly adminUrl: string
  /** How many certificates were signed, and how many connections were refused for want of one. */
  readonly counts: { readonly signed: number; readonly refused: number }
}

/** @param server one with `tls`, for its certificate, that asks for no password. @param upstream what the instance passes on to. */
export async function startCloudSql(server: PostgresServer, upstream: Pick<FaultProxy, 'host' | 'port'>): Promise<CloudSql> {
  const { rows } = await server.query<{ folder: string }>("SELECT current_setting('data_directory') AS folder")
  const fileOf = (name: string) => readFile(join(rows[0]?.folder ?? '', name), 'utf8')
  const [cert, key] = await Promise.all([fileOf('server.crt'), fileOf('server.key')])
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const address = process.platform === 'linux' ? `127.${[...randomBytes(2)].join('.')}.7` : '127.0.0.1'
  const counts = { signed: 0, refused: 0 }
  const open = new Set<Socket>()

  const admit = (socket: TLSSocket) => {
    open.add(socket)
    socket.on('error', () => {})
    if (!socket.getPeerX509Certificate()?.verify(authority.publicKey)) {
      counts.refused++
      return socket.destroy()
    }
    const beneath = connect(upstream.port, upstream.host)
    open.add(beneath)
    beneath.on('error', () => socket.destroy()).on('close', () => socket.destroy())
    socket.on('close', () => beneath.destroy())
    return beneath.pipe(socket).pipe(beneath)
  }
  const instance = createTlsServer({ cert, key, requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.3' }, admit)
  instance.listen(PROXY_PORT, address)
  await once(instance, 'listening')

  const expirationTime = new Date(Date.now() + HOUR_MILLIS).toISOString()
  const answer = async (request: IncomingMessage): Promise<object> => {
    const url = request.url ?? ''
    if (url.includes('/computeMetadata/')) return { access_token: 'only for a test', expires_in: 3599, token_type: 'Bearer' }
    if (url.includes('connectSettings')) {
      return {
        region: 'region',
        databaseVersion: 'POSTGRES_18',
        dnsName: 'localhost',
        ipAddresses: [{ type: 'PRIMARY', ipAddress: address }],
        serverCaCert: { cert: server.ca, expirationTime },
      }
    }
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const { public_key } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { public_key: string }
    counts.signed++
    return { ephemeralCert: { cert: certify(createPublicKey(public_key), authority.privateKey) } }
  }
  const google = createHttpServer((request, response) => {
    void answer(request).then((body) => {
      response.writeHead(200, { 'Content-Type': 'application/json', 'Metadata-Flavor': 'Google' }).end(JSON.stringify(body))
    })
  }).listen(0, '127.0.0.1')
  await once(google, 'listening')
  const host = `127.0.0.1:${(google.address() as AddressInfo).port}`
  return {
    env: { GCE_METADATA_HOST: host, METADATA_SERVER_DETECTION: 'assume-present' },
    adminUrl: `http://${host}/`,
    counts,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy()
      google.closeAllConnections()
      await Promise.all([instance, google].map((one) => new Promise((resolve) => one.close(resolve))))
    },
  }
}

/** An X.509 certificate (RFC 5280) with nothing in it but a name and a key, for an hour. Node.js reads them, but signs none. */
function certify(subject: KeyObject, issuer: KeyObject): string {
  const der = (tag: number, ...parts: readonly Uint8Array[]) => {
    const body = Buffer.concat(parts)
    const length = body.length < 128 ? [body.length] : [0x82, body.length >> 8, body.length & 255]
    return Buffer.concat([Buffer.from([tag, ...length]), body])
  }
  const ecdsaWithSha256 = der(0x30, der(0x06, Buffer.from('2a8648ce3d040302', 'hex')))
  const name = der(0x30, der(0x31, der(0x30, der(0x06, Buffer.from('550403', 'hex')), der(0x0c, Buffer.from('thaw')))))
  const time = (millis: number) => der(0x18, Buffer.from(`${new Date(millis).toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`))
  const body = der(
    0x30,
    der(0x02, Buffer.from([1, ...randomBytes(8)])),
    ecdsaWithSha256,
    name,
    der(0x30, time(Date.now() - HOUR_MILLIS), time(Date.now() + HOUR_MILLIS)),
    name,
    subject.export({ type: 'spki', format: 'der' }),
  )
  const signature = der(0x03, Buffer.from([0]), sign('sha256', body, issuer))
  return new X509Certificate(der(0x30, body, ecdsaWithSha256, signature)).toString()
}
