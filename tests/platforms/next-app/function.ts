/** The app of these tests as Vercel runs it: Next's own server behind a function. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import createNext from 'next'

// As Vercel does: Next.js asks for the same context by another name.
Object.assign(globalThis, {
  [Symbol.for('@next/request-context')]: Reflect.get(globalThis, Symbol.for('@vercel/request-context')),
})

const next = createNext({ dev: false, dir: process.env['NEXT_APP'] ?? '.' })
await next.prepare()
const handle = next.getRequestHandler()

export default (request: IncomingMessage, response: ServerResponse): Promise<void> => handle(request, response)
