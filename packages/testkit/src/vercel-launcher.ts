/**
 * Inside an emulated Vercel instance: loads the function, gives each request its context, and knows when an invocation has ended. Run by
 * `startVercel`, never imported.
 */

import { AsyncLocalStorage } from 'node:async_hooks'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pathToFileURL } from 'node:url'
import { serve } from './serve.ts'
import { toNodeHandler } from './vercel-handler.ts'

/** What `@vercel/functions` finds under its symbol. */
interface RequestContext {
  readonly headers: Readonly<Record<string, string>>
  readonly url: string
  /** ISO 8601. */
  readonly deadline: string
  waitUntil(promise: PromiseLike<unknown>): void
}

/** Ends once: when the response has been sent and everything has settled that `waitUntil` was given until then. */
interface Ending {
  readonly promise: Promise<void>
  readonly resolve: () => void
}

const contexts = new AsyncLocalStorage<RequestContext>()
Object.assign(globalThis, { [Symbol.for('@vercel/request-context')]: { get: () => contexts.getStore() } })

const [, , file = ''] = process.argv
process.argv.splice(1, 2, file)
const handle = toNodeHandler(await import(file.startsWith('file:') ? file : pathToFileURL(file).href))

const endings = new Map<number, Ending>()
function endingOf(id: number): Ending {
  let ending = endings.get(id)
  if (!ending) {
    let resolve = () => {}
    const promise = new Promise<void>((done) => {
      resolve = done
    })
    ending = { promise, resolve }
    endings.set(id, ending)
  }
  return ending
}

function invoke(request: IncomingMessage, response: ServerResponse): void {
  const id = Number(take(request, 'x-vercel-internal-request-id'))
  const deadline = take(request, 'x-vercel-internal-deadline')
  const pending = new Set<PromiseLike<unknown>>()
  let isAnswered = false
  const settle = (): void => {
    if (isAnswered && pending.size === 0) endingOf(id).resolve()
  }
  const waitUntil = (promise: PromiseLike<unknown>): void => {
    pending.add(promise)
    const forget = (): void => {
      pending.delete(promise)
      settle()
    }
    promise.then(forget, (error) => {
      console.error(error)
      forget()
    })
  }
  response.on('close', () => {
    isAnswered = true
    settle()
  })
  const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))
  const context: RequestContext = { headers, url: `https://${request.headers.host}${request.url}`, deadline, waitUntil }
  contexts.run(context, async () => {
    try {
      await handle(request, response)
    } catch (error) {
      console.error(error)
      if (!response.headersSent) response.writeHead(500, { 'x-vercel-error': 'FUNCTION_INVOCATION_FAILED' })
      response.end()
    }
  })
}

/** The platform's own headers are not for the function. */
function take(request: IncomingMessage, name: string): string {
  const value = String(request.headers[name])
  delete request.headers[name]
  for (let index = request.rawHeaders.length - 2; index >= 0; index -= 2) {
    if (request.rawHeaders[index]?.toLowerCase() === name) request.rawHeaders.splice(index, 2)
  }
  return value
}

// None of the server's own timeouts: to it, a freeze would look like a client that fell silent.
const server = createServer({ keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0 }, invoke)
server.listen(0, '127.0.0.1', () => {
  serve({
    port: () => (server.address() as AddressInfo).port,
    ended: async (id: number) => {
      await endingOf(id).promise
      endings.delete(id)
    },
  })
})
