/** The app on this machine: a PostgreSQL from npm, the functions in the emulator, and a small HTTP server in place of API Gateway. */

import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Lambda, type PostgresServer, startLambda, startPostgres } from '@thaw/testkit'

/** The app while it runs. */
export interface LocalApp extends AsyncDisposable {
  readonly url: string
  readonly server: PostgresServer
  readonly orders: Lambda
}

interface Reply {
  readonly statusCode: number
  readonly headers: Record<string, string>
  readonly body: string
}

/** Where the functions are: as source, or as bundled for the upload. */
export async function startLocally(folder: URL = new URL('.', import.meta.url), extension = 'ts', port = 0): Promise<LocalApp> {
  const server = await startPostgres()
  await server.query('CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item text NOT NULL)')
  const options = { env: { DATABASE_URL: server.url } }
  const orders = startLambda(new URL(`handler.${extension}`, folder), options)
  const stream = startLambda(new URL(`stream.${extension}`, folder), options)
  const http = createServer(async (request, response) => {
    const lambda = request.url === '/stream' ? stream : orders
    try {
      const { statusCode, headers, body } = (await lambda.invoke(await eventOf(request))) as Reply
      response.writeHead(statusCode, headers).end(body)
    } catch (error) {
      response.writeHead(502, { 'content-type': 'text/plain' }).end(`${error}\n`)
    }
  })
  await new Promise<void>((resolve) => http.listen(port, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    server,
    orders,
    async [Symbol.asyncDispose]() {
      http.close()
      http.closeAllConnections()
      await Promise.all([orders, stream].map((lambda) => lambda.shutdown()))
      await server.close()
    },
  }
}

/** What of API Gateway's event the handlers read. */
async function eventOf(request: IncomingMessage): Promise<object> {
  let body = ''
  for await (const chunk of request.setEncoding('utf8')) body += chunk
  return { rawPath: request.url, requestContext: { http: { method: request.method, path: request.url } }, body: body || undefined }
}
