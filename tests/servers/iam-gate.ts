/**
 * What stands in front of a database of a cloud that takes tokens: asks for the password in clear, by TLS, as RDS and DSQL do, looks at the token, and
 * lets the session through to a PostgreSQL that trusts it. A token that it does not accept ends as on RDS, which asks PAM: with 28000, PostgreSQL's code for
 * whatever is refused other than by a password of its own (auth_failed in src/backend/libpq/auth.c). Seen: https://github.com/aws/aws-sdk-net/issues/4433.
 */

import { readFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { createSecureContext, TLSSocket } from 'node:tls'
import type { PostgresServer } from '@thaw/testkit'

const SSL_REQUEST_CODE = 80877103
const PASSWORD_MESSAGE = 'p'.charCodeAt(0)
const ASK_FOR_PASSWORD = Buffer.from('R\0\0\0\x08\0\0\0\x03', 'latin1')

export interface IamGate extends AsyncDisposable {
  readonly port: number
  /** What was sent as the password, one for each connection attempt. */
  readonly tokens: readonly string[]
}

/** @param server one with `tls`, for its certificate, that trusts each client. */
export async function startIamGate(server: PostgresServer, accepts: (token: string) => boolean): Promise<IamGate> {
  const { rows } = await server.query<{ folder: string }>("SELECT current_setting('data_directory') AS folder")
  const fileOf = (name: string) => readFile(join(rows[0]?.folder ?? '', name), 'utf8')
  const [cert, key] = await Promise.all([fileOf('server.crt'), fileOf('server.key')])
  const secureContext = createSecureContext({ cert, key })
  const tokens: string[] = []
  const open = new Set<Socket>()

  const admit = async (raw: Socket) => {
    if ((await take(raw, 8)).readInt32BE(4) !== SSL_REQUEST_CODE) return raw.destroy()
    raw.write('S')
    const socket = new TLSSocket(raw, { isServer: true, secureContext })
    socket.on('error', () => {})
    const length = await take(socket, 4)
    const startup = Buffer.concat([length, await take(socket, length.readInt32BE(0) - 4)])
    socket.write(ASK_FOR_PASSWORD)
    const [type, size] = [await take(socket, 1), await take(socket, 4)]
    if (type[0] !== PASSWORD_MESSAGE) return socket.destroy()
    const token = (await take(socket, size.readInt32BE(0) - 4)).toString('utf8').replace(/\0$/, '')
    tokens.push(token)
    if (!accepts(token)) return socket.end(refusal())
    const upstream = connect(server.port, server.host)
    open.add(upstream)
    upstream.on('error', () => socket.destroy()).on('close', () => socket.destroy())
    socket.on('close', () => upstream.destroy())
    upstream.write(startup)
    return upstream.pipe(socket).pipe(upstream)
  }
  const gate = createServer((socket) => {
    open.add(socket)
    socket.on('error', () => {})
    admit(socket).catch(() => socket.destroy())
  })
  await new Promise<void>((resolve) => gate.listen(0, '127.0.0.1', resolve))
  return {
    port: (gate.address() as { port: number }).port,
    tokens,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy()
      await new Promise((resolve) => gate.close(resolve))
    },
  }
}

/** The next so many bytes. Rejects when the stream ends before. */
function take(socket: Socket, count: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const bytes = socket.read(count) as Buffer | null
      if (!bytes) return
      socket.off('readable', look).off('close', reject)
      resolve(bytes)
    }
    socket.on('readable', look).once('close', reject)
    look()
  })
}

function refusal(): Buffer {
  const fields = ['SFATAL', 'VFATAL', 'C28000', 'MPAM authentication failed for user "app"', ''].join('\0')
  const body = Buffer.from(`${fields}\0`, 'utf8')
  const head = Buffer.from('E\0\0\0\0', 'latin1')
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}
